//! The tests that look at the whole: the house, the documents, and the program run against real parts.

mod common;

mod architecture;
mod bad_input;
mod cache;
mod change;
mod cli;
mod demo;
mod destinations;
mod differential;
mod documents;
mod edges;
mod exceptions;
mod faults;
mod first_seen;
mod fuzzing;
mod hostile;
mod inputs;
mod laboratory;
mod memory;
mod nested;
mod planting;
mod pushing;
mod read_back;
mod reader;
mod reports;
mod rules;
mod scanners;
mod scanning;
mod schema;
mod ship;
mod sources;
mod static_binary;
mod steps;
mod trap;
mod validation;
