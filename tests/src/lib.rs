//! Harness and tests across executables: real servers, guards of the code map.
