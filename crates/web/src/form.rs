//! What a page's form sends: the same requests that programs send as JSON, as fields of text.
//!
//! A browser sends every field; one that was left empty is one that is not there. Fields that a request does not
//! declare are passed over, so that one form may fill several requests.

use axum::{
    extract::FromRequest,
    http::{StatusCode, header},
};

use crate::{body::read, limits, problem::Problem, request::Request};

/// The fields of a form, as they were sent. An axum extractor; take it last.
#[derive(Clone)]
pub struct Form(String);

impl Form {
    /// Reads the fields that this request declares.
    ///
    /// # Errors
    /// When one of them is missing, or is not as declared.
    pub fn read<R: Request>(&self) -> Result<R, Problem> {
        R::from_query(&self.0)
    }

    fn from_body(body: &[u8]) -> Option<Self> {
        let is_filled =
            |field: &&str| field.split_once('=').is_some_and(|(_, value)| !value.is_empty());
        let fields = std::str::from_utf8(body).ok()?.split('&').filter(is_filled);
        Some(Self(fields.collect::<Vec<_>>().join("&")))
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let media_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
        let is_form =
            |media_type: &[u8]| media_type.starts_with(b"application/x-www-form-urlencoded");
        if !media_type.is_some_and(is_form) {
            let (status, says) =
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is for the page's form");
            return Err(Problem::new(status, "unsupported_media_type", says));
        }
        let body = read(&parts.headers, body, limits::BODY_BYTES, limits::BODY_TIME).await?;
        Self::from_body(&body).ok_or_else(|| Problem::bad_request("the form is no UTF-8 text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{integer_or, line, list, optional};

    crate::request! {
        /// A trip.
        struct Trip {
            /// Who comes.
            people: Vec<String> = list(line(1..=18), 1..=3),
            /// How far.
            miles: Option<u64> = integer_or("unlimited", 1..=9),
            /// A remark.
            remark: Option<String> = optional(line(1..=18)),
        }
    }

    fn read(body: &str) -> Result<Trip, Problem> {
        Form::from_body(body.as_bytes()).expect("text").read()
    }

    #[test]
    fn a_form_fills_a_request() {
        let trip = read("people=Ann+B%2C+C&miles=unlimited&remark=&other=1").unwrap();
        assert_eq!(
            (trip.people, trip.miles, trip.remark),
            (vec!["Ann B".into(), "C".into()], None, None)
        );
        assert_eq!(read("people=A&miles=7").unwrap().miles, Some(7));
    }

    #[test]
    fn what_is_wrong_with_a_field_is_said_as_for_json() {
        for (body, code, field) in [
            ("miles=1", "missing_field", "people"),
            ("people=A&miles=x", "bad_value", "miles"),
            ("people=A&miles=10", "out_of_range", "miles"),
            ("people=A,,B&miles=1", "out_of_range", "people[1]"),
            ("people=A&miles=1&remark=a++b", "bad_value", "remark"),
        ] {
            let refused = read(body).unwrap_err();
            assert_eq!((refused.code(), refused.blamed()), (code, Some(field)), "{body}");
        }
    }
}
