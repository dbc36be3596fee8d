//! Tests of the machine: what happens in every phase, and a model of the world around it that does anything at any time.

mod commands;
mod desk;
mod links;
mod model;
mod properties;
mod reconnect;
