//! Who may come in.
//!
//! A server without tokens listens on loopback only, and answers only to loopback names: a web page that
//! the user happens to visit can make the browser send requests to this machine, but it cannot hide its
//! own name in `Host` (DNS rebinding) or `Origin` (a cross-site request). A server with tokens asks for
//! one, wherever it listens; the token's name is the [`Caller`].
//!
//! | token comes as | for |
//! |---|---|
//! | `Authorization: Bearer …` | programs |
//! | `Authorization: Basic …`, name and token as user and password | browsers; cross-site requests refused |
//! | `?token=…`, where the endpoint allows it | players that cannot send headers |
//!
//! A token in the address is taken out of it before anybody else sees the request, so that it reaches no
//! log and no other server.
//!
//! Not here: encryption (a proxy's work), rights that differ between callers, limits on their rate.

use std::{hint::black_box, net::SocketAddr};

use axum::http::{HeaderMap, HeaderName, Method, Request, Uri, Version, header};
use interlock_kernel::ids::{BadName, Caller, check_name};

use crate::{
    encoding::base64,
    endpoint::{Access, Endpoint},
    limits,
    path::percent_decode,
    problem::Problem,
};

/// Decides about every request before anything else does.
#[derive(Debug)]
pub struct Guard {
    rule: Rule,
    exceptions: Vec<Exception>,
}

#[derive(Debug)]
enum Rule {
    Loopback,
    Tokens(Vec<Known>),
}

/// A token that opens the server.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// What its holder is called: a name, which becomes the [`Caller`] of commands.
    pub name: String,
    /// 1 to [`limits::TOKEN_CHARS`] visible ASCII characters.
    pub secret: String,
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessToken").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a server must not start like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardError {
    /// Anybody could use it.
    #[error("{0} can be reached from other machines, so [auth] needs at least one token")]
    OpenToAll(SocketAddr),
    /// A token's name breaks the rule of names.
    #[error("the name {name:?} of a token {source}")]
    BadName {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: BadName,
    },
    /// A token is empty, too long, or holds what does not fit a header.
    #[error(
        "the token of {name:?} must have 1 to {} visible ASCII characters",
        limits::TOKEN_CHARS
    )]
    BadSecret {
        /// Whose.
        name: String,
    },
    /// Two tokens have the same name, or are the same.
    #[error("the token of {name:?} has the name or the secret of another one")]
    Repeated {
        /// The second one's name.
        name: String,
    },
}

struct Known {
    caller: Caller,
    secret: String,
    /// What a browser sends: base64 of `name:secret`.
    basic: String,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Known").field(&self.caller).finish()
    }
}

/// The token of a request that carried it in the address, for handlers that write further addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct AddressToken(pub String);

impl Guard {
    /// The guard of a server on these addresses. With tokens it asks for one; without, all addresses
    /// must be loopback.
    pub fn new(addresses: &[SocketAddr], tokens: &[AccessToken]) -> Result<Self, GuardError> {
        let open = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback());
        let rule = match (tokens.is_empty(), open) {
            (false, _) => Rule::Tokens(known(tokens)?),
            (true, Some(address)) => return Err(GuardError::OpenToAll(*address)),
            (true, None) => Rule::Loopback,
        };
        Ok(Self { rule, exceptions: Vec::new() })
    }

    /// Also follows what these endpoints say about [`Access`].
    #[must_use]
    pub fn with_exceptions(mut self, endpoints: &[Endpoint]) -> Self {
        let special = endpoints.iter().filter(|endpoint| endpoint.access != Access::Token);
        self.exceptions.extend(special.map(Exception::new));
        self
    }

    /// Lets a request in or says why not: 401 `unauthorized`, 403 `forbidden_host` or
    /// `forbidden_origin`, 400 `bad_request` without one `Host`. Puts the [`Caller`] into the request's
    /// extensions if it came with a token.
    pub fn admit<B>(&self, request: &mut Request<B>) -> Result<(), Problem> {
        check_host_header(request)?;
        let access = self.access(request.method(), request.uri().path());
        match &self.rule {
            _ if access == Access::Public => Ok(()),
            Rule::Loopback => check_loopback(request.uri(), request.headers()),
            Rule::Tokens(known) => {
                let caller = identify(known, access, request)?;
                request.extensions_mut().insert(caller);
                Ok(())
            }
        }
    }

    fn access(&self, method: &Method, path: &str) -> Access {
        let found = self.exceptions.iter().find(|exception| exception.covers(method, path));
        found.map_or(Access::Token, |exception| exception.access)
    }
}

fn known(tokens: &[AccessToken]) -> Result<Vec<Known>, GuardError> {
    let mut known: Vec<Known> = Vec::new();
    for AccessToken { name, secret } in tokens {
        check_name(name).map_err(|source| GuardError::BadName { name: name.clone(), source })?;
        let fits = (1..=limits::TOKEN_CHARS).contains(&secret.len());
        if !fits || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(GuardError::BadSecret { name: name.clone() });
        }
        if known.iter().any(|other| other.caller.as_str() == name || other.secret == *secret) {
            return Err(GuardError::Repeated { name: name.clone() });
        }
        let basic = base64(format!("{name}:{secret}").as_bytes());
        known.push(Known { caller: Caller::new(name), secret: secret.clone(), basic });
    }
    Ok(known)
}

/// HTTP/1.1 wants `Host` exactly once (RFC 9112 §3.2).
fn check_host_header<B>(request: &Request<B>) -> Result<(), Problem> {
    let count = request.headers().get_all(header::HOST).iter().count();
    if count == 1 || (count == 0 && request.version() < Version::HTTP_11) {
        return Ok(());
    }
    Err(Problem::bad_request("a request must have one `Host`").field("Host"))
}

fn check_loopback(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or(""));
    let target = uri.authority().map(|authority| authority.as_str());
    if ![host, target].into_iter().flatten().all(is_loopback_name) {
        return Err(Problem::forbidden_host());
    }
    for origin in headers.get_all(header::ORIGIN) {
        let site = origin.to_str().ok().and_then(site_of);
        if !site.is_some_and(is_loopback_name) {
            return Err(Problem::forbidden_origin());
        }
    }
    Ok(())
}

/// `localhost`, `127.0.0.0/8` or `[::1]`, with or without a port.
fn is_loopback_name(authority: &str) -> bool {
    let (name, port) = match authority.rfind(':') {
        Some(colon) if !authority.ends_with(']') => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    };
    if !port.is_none_or(|port| port.bytes().all(|digit| digit.is_ascii_digit())) {
        return false;
    }
    if let Some(v6) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return v6.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
    }
    let v4 = name.parse::<std::net::Ipv4Addr>();
    v4.is_ok_and(|ip| ip.is_loopback()) || name.eq_ignore_ascii_case("localhost")
}

/// `http://name:port` without its scheme.
fn site_of(origin: &str) -> Option<&str> {
    origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
}

fn identify<B>(
    known: &[Known],
    access: Access,
    request: &mut Request<B>,
) -> Result<Caller, Problem> {
    let headers = request.headers();
    if let Some(line) = only(headers, &header::AUTHORIZATION)? {
        let (scheme, presented) = line.split_once(' ').unwrap_or((line, ""));
        let presented = presented.trim();
        let caller = if scheme.eq_ignore_ascii_case("bearer") {
            find(known, |known| &known.secret, presented)
        } else if scheme.eq_ignore_ascii_case("basic") {
            check_same_site(headers)?;
            find(known, |known| &known.basic, presented)
        } else {
            None
        };
        return caller.ok_or_else(|| Problem::unauthorized("this token is not known here"));
    }
    let from_address = (access == Access::TokenInAddress).then(|| take_token(request.uri()));
    let Some((token, uri)) = from_address.flatten() else {
        return Err(Problem::unauthorized("a token is needed: `Authorization: Bearer …`"));
    };
    let caller = find(known, |known| &known.secret, &token);
    let caller = caller.ok_or_else(|| Problem::unauthorized("this token is not known here"))?;
    *request.uri_mut() = uri;
    request.extensions_mut().insert(AddressToken(token));
    Ok(caller)
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(Problem::bad_request(format!("`{name}` is there twice")));
    }
    Ok(line.map(|line| line.to_str().unwrap_or("")))
}

/// A browser adds Basic credentials to requests of every site, so those of other sites are refused.
fn check_same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    for origin in headers.get_all(header::ORIGIN) {
        let site = origin.to_str().ok().and_then(site_of);
        if site.is_none() || site != host {
            return Err(Problem::forbidden_origin());
        }
    }
    Ok(())
}

/// Looks at every token whatever the outcome, and at every byte of one: the time it takes tells nothing.
fn find(known: &[Known], secret: impl Fn(&Known) -> &String, presented: &str) -> Option<Caller> {
    let mut found = None;
    for candidate in known {
        if same(secret(candidate).as_bytes(), presented.as_bytes()) {
            found = Some(candidate.caller.clone());
        }
    }
    found
}

/// Compares in a time that depends on the lengths only.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |seen, (a, b)| black_box(seen | (a ^ b)));
    a.len() == b.len() && differences == 0
}

/// Takes `token=…` out of an address.
fn take_token(uri: &Uri) -> Option<(String, Uri)> {
    let query = uri.query()?;
    let value = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let token = percent_decode(value)?;
    let rest: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    let mut path = uri.path().to_owned();
    if !rest.is_empty() {
        path = format!("{path}?{}", rest.join("&"));
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.try_into().expect("a part of a valid address is valid"));
    Some((token, Uri::from_parts(parts).expect("only its query got shorter")))
}

/// An endpoint whose [`Access`] is not the usual one.
#[derive(Debug)]
struct Exception {
    method: Method,
    /// `None` stands for any one segment, and the last one for any rest if `open` is set.
    segments: Vec<Option<&'static str>>,
    open: bool,
    access: Access,
}

impl Exception {
    fn new(endpoint: &Endpoint) -> Self {
        let fixed = |segment: &'static str| (!segment.starts_with('{')).then_some(segment);
        Self {
            method: endpoint.method.clone(),
            segments: endpoint.path.split('/').map(fixed).collect(),
            open: endpoint.path.contains("{*"),
            access: endpoint.access,
        }
    }

    fn covers(&self, method: &Method, path: &str) -> bool {
        let head = *method == Method::HEAD && self.method == Method::GET;
        let mut given = path.split('/');
        (head || *method == self.method)
            && self.segments.iter().all(|segment| {
                given.next().is_some_and(|given| segment.is_none_or(|fixed| fixed == given))
            })
            && (self.open || given.next().is_none())
    }
}

#[cfg(test)]
mod tests;
