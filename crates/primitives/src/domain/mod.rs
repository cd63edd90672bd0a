//! The entities: pure, one file per primitive.
