//! Small programs, one idea each, ordered by difficulty
