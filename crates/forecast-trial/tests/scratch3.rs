//! x
#[test]
fn c() { ng_forecast_trial::cost(&ng_forecast_trial::chosen()); }
