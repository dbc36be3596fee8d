//! Errors as RFC 9457 problem documents. Every answer with status 400 and above is one of these.

use serde::Serialize;
use warp::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    reply::Response,
};
use wharf_actors::GatewayError;
use wharf_domain::InvalidField;

/// One refused field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct FieldError {
    /// The field, query parameter or header as the client wrote it.
    pub(super) field: String,
    /// What is wrong and what would be accepted.
    pub(super) message: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl From<InvalidField> for FieldError {
    fn from(refusal: InvalidField) -> Self {
        Self::new(refusal.field, refusal.message)
    }
}

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it is no trouble of the server's, whatever its status.
    is_expected: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    /// No page describes our errors one by one; RFC 9457 has this value for "the status says it".
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            is_expected: false,
        }
    }

    /// 400 with every refused field.
    pub(super) fn invalid(errors: Vec<FieldError>) -> Self {
        let names: Vec<&str> = errors.iter().take(5).map(|error| error.field.as_str()).collect();
        let more = if errors.len() > names.len() { ", …" } else { "" };
        let detail = format!("not accepted: {}{more}", names.join(", "));
        Self {
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, detail)
        }
    }

    /// 401 (CONTRACT.md section 1); the same for a missing and an unknown token.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "a valid bearer token is needed: Authorization: Bearer TOKEN",
        )
        .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    }

    /// 429; trying again soon makes sense.
    pub(super) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 503; trying again soon makes sense.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).with(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// 503 of what is on its way: nothing to warn of.
    pub(super) fn not_yet(detail: impl Into<String>) -> Self {
        Self {
            is_expected: true,
            ..Self::unavailable(detail)
        }
    }

    /// 500. What happened goes to the log, not to the client.
    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "a fault in Wharf; its log has the details under this request id",
        )
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Whether the client asks for more at a time than it may.
    pub(super) fn is_busy(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// Whether it is no trouble of the server's, whatever its status.
    pub(super) fn is_expected(&self) -> bool {
        self.is_expected
    }

    /// The document that says it.
    pub(super) fn document(&self) -> Vec<u8> {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        // Strings and integers only: serialising them into memory has no way to fail.
        serde_json::to_vec(&document).unwrap_or_default()
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(self.document().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.extend(self.headers);
        response
    }
}

impl From<InvalidField> for Problem {
    fn from(refusal: InvalidField) -> Self {
        Self::invalid(vec![refusal.into()])
    }
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        let detail = error.to_string();
        match error {
            GatewayError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, detail),
            GatewayError::Conflict(_) => Self::new(StatusCode::CONFLICT, detail),
            GatewayError::Invalid(refusal) => refusal.into(),
            GatewayError::TooLarge(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail),
            GatewayError::Gone(_) => Self::new(StatusCode::GONE, detail),
            GatewayError::Refused(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail),
            GatewayError::Busy(_) => Self::busy(detail),
            GatewayError::Unavailable(_) => Self::unavailable(detail),
            GatewayError::TimedOut(_) => Self::new(StatusCode::GATEWAY_TIMEOUT, detail),
        }
    }
}
