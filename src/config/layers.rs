//! Merges the layers, and refuses keys that no layer may have.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::ConfigError;

/// The base layer: every key and its default.
const BUILT_IN: &str = include_str!("../../config.toml");
/// What the base layer is called where a value's origin is told.
const DEFAULT: &str = "default";
/// Keys that there were once, and what became of them.
const GONE: [(&str, &str); 1] = [(
    "whatsapp.keys",
    "the keys of linked devices are in the database that store.url names; take this key out, link the numbers once more, \
     and delete the directory that it named",
)];
/// Read without being named, where it exists.
const FILE: &str = "config.toml";
/// What our variables begin with.
const PREFIX: &str = "WHARF_";

/// Where a configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file that must be there.
    pub file: Option<PathBuf>,
    /// Variables; those that are not ours are passed over.
    pub variables: Vec<(OsString, OsString)>,
}

impl Sources {
    /// The file named on the command line, else `config.toml` in the working directory if there is one, and the
    /// process's variables.
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let file = file.or_else(|| Path::new(FILE).is_file().then(|| PathBuf::from(FILE)));
        Self {
            file,
            variables: std::env::vars_os().collect(),
        }
    }
}

/// Values with the name of where they come from.
struct Layer {
    name: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// The merged layers, and what is wrong with the keys in them.
pub(super) fn merge(sources: &Sources) -> Result<(Figment, Vec<String>), ConfigError> {
    let built_in = parse(DEFAULT, BUILT_IN)?;
    let known = leaves(&built_in.values);
    let mut layers = Vec::new();
    if let Some(path) = &sources.file {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| {
            ConfigError(vec![format!(
                "--config {name}: {error}; a readable TOML file is expected"
            )])
        })?;
        layers.push(parse(&name, &text)?);
    }
    let mut errors = Vec::new();
    for (name, value) in &sources.variables {
        match variable(name, value, &known) {
            Ok(Some(layer)) => layers.push(layer),
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    errors.extend(layers.iter().flat_map(|layer| unknown(layer, &known)));
    // Something else in the place of a section would hide its keys.
    for layer in &mut layers {
        layer.values.retain(|_, value| value.as_dict().is_some());
    }
    Ok((layers.into_iter().fold(Figment::from(built_in), Figment::merge), errors))
}

fn parse(name: &str, text: &str) -> Result<Layer, ConfigError> {
    match Toml::from_str(text) {
        Ok(values) => Ok(Layer {
            name: name.to_owned(),
            values,
        }),
        Err(error) => {
            // The place and not what stands there, which may be a secret.
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = 1 + before.map_or(0, |before| before.matches('\n').count());
            Err(ConfigError(vec![format!("{name}: line {line}: {}", error.message())]))
        }
    }
}

/// A layer of one variable. Its value stays text: `reader` knows what the key wants, so that a device may be called
/// `007`.
fn variable(name: &OsString, value: &OsString, known: &[String]) -> Result<Option<Layer>, String> {
    let Some(name) = name.to_str() else { return Ok(None) };
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    if !rest.contains("__") {
        // Other programs may have variables with our prefix; one that only lacks an underscore is no such thing.
        let meant = known
            .iter()
            .find(|key| key.replace('.', "_").eq_ignore_ascii_case(rest));
        return meant.map_or(Ok(None), |key| {
            Err(format!("{name}: two underscores follow the section: {}", of(key)))
        });
    }
    let Some(value) = value.to_str() else {
        return Err(format!("{name}: is not UTF-8"));
    };
    let mut values = Value::from(value);
    for part in rest.rsplit("__") {
        values = Value::from(Dict::from([(part.to_lowercase(), values)]));
    }
    Ok(Some(Layer {
        name: name.to_owned(),
        values: values.into_dict().unwrap_or_default(),
    }))
}

/// The variable of a key.
fn of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// What is wrong with the keys of a layer.
fn unknown(layer: &Layer, known: &[String]) -> Vec<String> {
    let refused = leaves(&layer.values).into_iter().filter(|key| !known.contains(key));
    refused
        .filter_map(|key| {
            if let Some((_, why)) = GONE.iter().find(|(gone, _)| *gone == key) {
                return Some(format!("{}: {key} is not a key any more: {why}", layer.name));
            }
            let section = key.split('.').next().unwrap_or_default();
            let siblings: Vec<&str> = known
                .iter()
                .filter_map(|known| known.strip_prefix(section)?.strip_prefix('.'))
                .collect();
            let empty_section = key == section && layer.values.get(section).is_some_and(|v| v.as_dict().is_some());
            match (siblings.as_slice(), empty_section) {
                ([], _) => Some(format!(
                    "{}: {key} is not a key; sections are {}",
                    layer.name,
                    sections(known)
                )),
                (_, true) => None,
                (keys, _) => Some(format!(
                    "{}: {key} is not a key; [{section}] has {}",
                    layer.name,
                    keys.join(", ")
                )),
            }
        })
        .collect()
}

fn sections(known: &[String]) -> String {
    let mut names: Vec<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
    names.dedup();
    names.join(", ")
}

/// The dotted paths of everything that is not a table with something in it.
fn leaves(values: &Dict) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in values {
        match value.as_dict() {
            Some(inner) if !inner.is_empty() => {
                found.extend(leaves(inner).into_iter().map(|rest| format!("{name}.{rest}")));
            }
            _ => found.push(name.clone()),
        }
    }
    found
}
