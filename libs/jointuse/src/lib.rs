//! The words of the joint use, as types. No I/O.
