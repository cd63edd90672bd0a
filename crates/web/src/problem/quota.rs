//! A quota's "no" over HTTP: the same for every service that counts by one.

use axum::http::StatusCode;
use interlock_kernel::quota::QuotaRefusal;

use super::Problem;

impl From<QuotaRefusal> for Problem {
    fn from(refusal: QuotaRefusal) -> Self {
        let status = match &refusal {
            QuotaRefusal::UnknownClaim | QuotaRefusal::UnknownWorker(_) => StatusCode::NOT_FOUND,
            QuotaRefusal::LimitBelowUsed { .. }
            | QuotaRefusal::Started
            | QuotaRefusal::Exhausted
            | QuotaRefusal::AllClaimed { .. }
            | QuotaRefusal::WorkerQuotaReached(_)
            | QuotaRefusal::WorkerQuotaClaimed { .. }
            | QuotaRefusal::TooManyWorkers(_)
            | QuotaRefusal::WorkerRetired(_)
            | QuotaRefusal::ClaimSettled { .. }
            | QuotaRefusal::ClaimOver(_)
            | QuotaRefusal::ClaimExpired(_)
            | QuotaRefusal::TooManyOutcomes => StatusCode::CONFLICT,
        };
        let problem = Self::new(status, refusal.code(), refusal.to_string());
        match refusal.retry_after() {
            Some(wait) => problem.retry_after(wait),
            None => problem,
        }
    }
}
