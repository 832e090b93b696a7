//! The schema against the shipped file.

const SHIPPED: &str = include_str!("../../../config/config.json");

#[test]
fn the_schema_knows_every_key_of_the_shipped_file() {
    let schema = ng_config::schema();
    let shipped: serde_json::Value = serde_json::from_str(SHIPPED).unwrap();
    for (section, keys) in shipped
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "python")
    {
        for key in keys.as_object().unwrap().keys() {
            let setting = &schema["properties"][section]["properties"][key];
            assert!(
                setting["type"].is_string() || setting["type"].is_array(),
                "{section}.{key}: {setting}"
            );
            assert!(setting["description"].is_string(), "{section}.{key}");
        }
    }
    assert_eq!(
        schema["properties"]["email"]["properties"]["smtpPort"]["default"],
        587
    );
    assert_eq!(
        schema["properties"]["log"]["properties"]["format"]["enum"],
        serde_json::json!(["json", "text"])
    );
}
