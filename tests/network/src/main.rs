//! `wharf-testnet`: the network as a program of its own.

fn main() {}
