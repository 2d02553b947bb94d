//! `anomaly serve`: the endpoint that scores.
