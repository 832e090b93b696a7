//! `init` and `update`: commands that write a configuration file.

use std::path::Path as FilePath;

use ng_config::edit::{self, EditError, Path};
use ng_config::{Inputs, MASK, read_secrets};
use ng_hook::log::Value as Field;

use super::files::{self, ConfigFile, is_dash};
use super::output::{Failure, Printed};
use super::{Desk, InitArgs, Place, UpdateArgs};

/// The configuration as it is shipped: every setting of the former system with its default.
const SHIPPED: &str = include_str!("../../../../config/config.json");

pub(super) fn init(args: &InitArgs) -> Result<Printed, Failure> {
    let path: &FilePath = match &args.output {
        Some(path) if !is_dash(path) => path,
        _ => return Ok(Printed::done(SHIPPED)),
    };
    if args.force {
        files::replace(path, SHIPPED)?;
    } else {
        files::create(path, SHIPPED)?;
    }
    Ok(Printed::done(format!("{}: written\n", path.display())))
}

pub(super) fn update(args: &UpdateArgs, desk: &Desk) -> Result<Printed, Failure> {
    let file = ConfigFile::read_or_mounted(args.file.config.as_deref(), &desk.env)?;
    let path = path(&args.place)?;
    let (secrets, _) = read_secrets(desk.env.secrets_dir());
    let env = desk.env.variables();
    let inputs = Inputs {
        file: Some(file.as_input()),
        secrets: &secrets,
        env: &env,
        ..Inputs::default()
    };
    let edited = edit::set(&inputs, &path, &args.value).map_err(|error| refusal(error, &file))?;
    if edited.reprinted {
        desk.log.warn(
            "the file was printed anew: its layout and comments could not be kept",
            &[("file", Field::Text(&file.name))],
        );
    }
    for issue in &edited.remaining {
        desk.log
            .warn("still invalid", &[("problem", Field::Shown(issue))]);
    }
    let Some(target) = &file.path else {
        return Ok(Printed::done(edited.text));
    };
    if edited.text == file.text {
        return Ok(Printed::done(format!(
            "{}: {path} is unchanged\n",
            file.name
        )));
    }
    files::replace(target, &edited.text)?;
    let value = if edit::is_secret(&path) {
        MASK
    } else {
        &args.value
    };
    Ok(Printed::done(format!(
        "{}: {path} is now {value}\n",
        file.name
    )))
}

/// The path that section and key name together.
pub(super) fn path(place: &Place) -> Result<Path, Failure> {
    let text = match (&place.section, &place.key) {
        (Some(section), Some(key)) => format!("{section}.{key}"),
        (None, Some(key)) => key.clone(),
        (Some(section), None) => section.clone(),
        (None, None) => {
            return Err(Failure::Usage(anyhow::anyhow!(
                "name a setting with --section and --key"
            )));
        }
    };
    text.parse()
        .map_err(|error: edit::PathError| Failure::Usage(error.into()))
}

fn refusal(error: EditError, file: &ConfigFile) -> Failure {
    let is_usage = matches!(error, EditError::UnknownKey { .. });
    let error = anyhow::Error::new(error);
    if is_usage {
        Failure::Usage(error)
    } else {
        Failure::Failed(error.context(format!("{}: not changed", file.name)))
    }
}
