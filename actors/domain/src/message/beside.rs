//! What some messages have that there is no `type` for.

use std::ops::Not;

use serde::Serialize;

use super::Location;
use crate::Timestamp;

/// What a button of a business does, beyond its words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NativeFlow {
    /// WhatsApp's name of it (`payment_info`, `cta_url`, …).
    pub name: String,
    /// What the business gave it, JSON as text; absent when it is too long to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<String>,
}

/// An invitation to a group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GroupInvite {
    /// The group's id (JID).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is accepted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The group's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// An event that people are invited to.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct EventDetails {
    /// More about it than its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Timestamp>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The link of its call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Whether it was called off.
    #[serde(skip_serializing_if = "Not::not")]
    pub canceled: bool,
}
