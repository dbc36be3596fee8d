//! scratch
pub mod http;
