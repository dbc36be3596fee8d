//! Tests of the machine: the contract's table, and a model of the world around it that does everything at any time.

mod bodies;
mod clock;
mod courtesies;
mod crowded;
mod desk;
mod doubts;
mod media;
mod model;
mod passes;
mod properties;
mod receivers;
mod recoveries;
mod retries;
mod store;
mod table;
