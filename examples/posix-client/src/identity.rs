//! Who the device is to the server: attributes that never change.

use std::fs;
use std::path::Path;

use tool_style::file::unreadable;

use crate::lines;
use crate::script::{self, SCRIPT_TIME};
use crate::settings::{DeviceTypeFrom, IdentityFrom};

/// The identity's attributes.
///
/// # Errors
///
/// Why there are none, and what to do.
pub async fn find(from: &IdentityFrom) -> Result<Vec<(String, String)>, String> {
    match from {
        IdentityFrom::Given(attributes) => Ok(attributes.clone()),
        IdentityFrom::Script(program) => {
            let text = script::output(program, SCRIPT_TIME).await?;
            of_script(&text).map_err(|error| format!("{}: {error}", program.display()))
        }
        IdentityFrom::Interface => {
            let address = choose(interfaces(Path::new("/sys/class/net"))).ok_or_else(|| {
                "there is no network interface with a hardware address to know this device by; say who it is with \
                 --mac-address or --identity"
                    .to_owned()
            })?;
            Ok(vec![("mac".to_owned(), address)])
        }
    }
}

fn of_script(text: &str) -> Result<Vec<(String, String)>, String> {
    let attributes = lines::parse(text)?;
    if attributes.is_empty() {
        return Err("prints no KEY=VALUE line".to_owned());
    }
    attributes
        .into_iter()
        .map(|attribute| match <[String; 1]>::try_from(attribute.values) {
            Ok([value]) => Ok((attribute.key, value)),
            Err(_) => Err(format!("prints `{}` twice", attribute.key)),
        })
        .collect()
}

/// The device type.
///
/// # Errors
///
/// Why there is none, and what to do.
pub fn device_type(from: &DeviceTypeFrom) -> Result<String, String> {
    let path = match from {
        DeviceTypeFrom::Given(device_type) => return Ok(device_type.clone()),
        DeviceTypeFrom::File(path) => path,
    };
    let failed = |what: &dyn std::fmt::Display| {
        let hint = "say it with --device-type, or write device_type=TYPE into that file";
        format!("the device type {}: {what}; {hint}", path.display())
    };
    let text = fs::read_to_string(path).map_err(|error| failed(&unreadable(&error)))?;
    lines::parse(&text)
        .map_err(|error| failed(&error))?
        .into_iter()
        .filter(|attribute| attribute.key == "device_type")
        .flat_map(|attribute| attribute.values)
        .map(|device_type| device_type.trim().to_owned())
        .find(|device_type| !device_type.is_empty())
        .ok_or_else(|| failed(&"there is none in it"))
}

/// A network interface, as the system describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    /// Its place in the order in which the system found them.
    index: u32,
    /// There is hardware behind it.
    is_hardware: bool,
    address: String,
}

fn interfaces(folder: &Path) -> Vec<Interface> {
    /// Ethernet, Wi-Fi and the like, in `if_arp.h`.
    const ETHER: &str = "1";
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let read = |path: &Path, name: &str| Some(fs::read_to_string(path.join(name)).ok()?.trim().to_owned());
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            if read(&path, "type")? != ETHER {
                return None;
            }
            Some(Interface {
                index: read(&path, "ifindex")?.parse().ok()?,
                is_hardware: path.join("device").exists(),
                address: read(&path, "address")?,
            })
        })
        .collect()
}

/// The first one; those of hardware before bridges, tunnels and the like, which come and go.
fn choose(interfaces: Vec<Interface>) -> Option<String> {
    interfaces
        .into_iter()
        .filter(|interface| !interface.address.is_empty() && interface.address != "00:00:00:00:00:00")
        .min_by_key(|interface| (!interface.is_hardware, interface.index))
        .map(|interface| interface.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u32, is_hardware: bool, address: &str) -> Interface {
        Interface {
            index,
            is_hardware,
            address: address.to_owned(),
        }
    }

    #[test]
    fn hardware_comes_first() {
        let all = vec![
            interface(1, true, "00:00:00:00:00:00"),
            interface(2, false, "02:00:00:00:00:02"),
            interface(5, true, "02:00:00:00:00:05"),
            interface(4, true, "02:00:00:00:00:04"),
            interface(3, true, ""),
        ];
        assert_eq!(choose(all).as_deref(), Some("02:00:00:00:00:04"));
        let virtual_ones = vec![interface(9, false, "b"), interface(8, false, "a")];
        assert_eq!(choose(virtual_ones).as_deref(), Some("a"));
        assert_eq!(choose(vec![]), None);
    }

    #[test]
    fn a_script_gives_each_key_once() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            of_script("mac=a\nserial=1\n"),
            Ok(vec![pair("mac", "a"), pair("serial", "1")])
        );
        for (text, part) in [("", "no KEY=VALUE"), ("a=1\na=2", "`a` twice"), ("x", "`x`")] {
            let error = of_script(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_device_type_is_a_line_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device_type");
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            device_type(&DeviceTypeFrom::File(path.clone()))
        };
        assert_eq!(read("artifact_name=a\ndevice_type= desk \n"), Ok("desk".to_owned()));
        for (text, part) in [
            ("", "none in it"),
            ("device_type=\n", "none in it"),
            ("# the board\ndevice_type=desk\n", "`# the board`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part) && error.contains("--device-type"), "{error}");
        }
    }
}
