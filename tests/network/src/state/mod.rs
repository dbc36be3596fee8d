//! What the network knows: accounts, their devices, open links, offers to pair, faults. All of it in memory.
//!
//! Locks here are short and never held across an await, except a phone's Signal state, which is one lock per account.

mod account;
mod chat;
mod device;
mod faults;
mod group;
mod links;
mod mailbox;
mod media;
mod offers;
mod profile;
mod settings;
mod spent;
mod world;

pub(crate) use account::{Account, hidden};
pub(crate) use chat::{Chat, Known};
pub(crate) use device::{Device, Registration};
pub(crate) use faults::FaultBoard;
pub(crate) use group::{Group, Invitation, Part, Rank, Standing};
pub(crate) use links::{Command, Link, Links};
pub(crate) use mailbox::{Batch, Mailbox};
pub(crate) use media::{MediaStore, Place, token_of};
pub(crate) use offers::{Offer, Offers};
pub(crate) use profile::Profile;
pub(crate) use settings::{NewRecord, News, Settings};
pub(crate) use spent::Spent;
pub(crate) use world::{World, digits};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, and goes on after a panic elsewhere: no invariant of this state spans two statements under one lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
