//! The texts, by code. A code never gets another meaning.
//!
//! Depends on nothing.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident $($code:literal $text:literal)*) => {
        $(#[$doc])*
        ///
        /// | code | text |
        /// |---|---|
        $(#[doc = concat!("| E", $code, " | ", $text, " |")])*
        pub const $name: &[(u16, &str)] = &[$(($code, $text)),*];
    };
}

/// Whether the text is seen on hosts and in logs alone, never in a deployment log: what the inventory, a poll or an encoder refuses,
/// the configuration, unreadable records, provides.
pub(super) const fn is_seldom(code: u16) -> bool {
    matches!(code, 26..=28 | 30..=41 | 50..=58 | 81..=83 | 240..=242)
}

/// Whether this firmware can say it: a text that needs a feature takes no flash without it.
pub(super) const fn is_used(code: u16) -> bool {
    cfg!(feature = "artifact-keys") || !matches!(code, 58 | 192 | 193)
}

codes! {
    /// What the codes of the client mean: exchanges over HTTP and URLs (E1 to E19), the device API (E20 to E49), the configuration
    /// (E50 to E59), downloads, deployments and records (E60 to E99).
    CLIENT
    1 "the connection failed"
    2 "the server closed the connection"
    3 "the connection ended within a response"
    4 "the response is not valid HTTP"
    5 "the response says in two ways how long it is: a broken proxy"
    6 "the response's head is longer than 8 KiB"
    7 "the response has a Content-Encoding, which was not asked for"
    8 "no connection"
    9 "no answer in time"
    10 "a redirect that is not followed"
    11 "the URL must begin with http:// or https://"
    12 "the URL has no valid host"
    13 "the URL's port is not a number from 1 to 65535"
    14 "the URL has a user name, which is not supported"
    15 "the URL has a character that must be percent-encoded"
    16 "the response's body is longer than 4 GiB"
    20 "the server has not accepted this device: accept it in the server's list"
    21 "the server could not verify the request's signature"
    22 "the server asks to wait before the next authentication"
    23 "authentication is not possible now"
    24 "the server refuses the authentication request: check identity and tenant token"
    25 "the server answered the authentication with something that is no token"
    26 "the inventory does not fit: lend a longer buffer"
    27 "the server takes at most 100 inventory attributes"
    28 "the name of an inventory attribute has 1 to 1024 bytes"
    29 "the token is too long: raise TOKEN of the client's Resources to its bytes"
    30 "the server does not know this way to ask for a deployment"
    31 "the server failed the deployment: the device's artifact name, type or provides changed during it"
    32 "the server does not take the token"
    33 "the server does not allow this device to ask for a deployment"
    34 "the server asks to wait before the next poll"
    35 "the server refuses the poll for a deployment"
    36 "polling for a deployment is not possible now"
    37 "the server's answer is no deployment"
    40 "a message does not fit: lend a longer buffer"
    41 "the device has no identity attribute: add one, such as its mac"
    45 "the stored bytes are no P-256 private key: generate a new one"
    46 "the random number generator is broken: it gives no usable private key"
    47 "the public key is no uncompressed point of P-256"
    48 "the signature could not be computed"
    49 "the device's signer failed: see its error above"
    50 "server_url: "
    51 "server_url: remove the query behind the `?`"
    52 "device_type: must have 1 to 256 bytes"
    53 "artifact_name: must have 1 to 256 bytes"
    54 "a time is too short: "
    55 "a time is longer than 30 days: "
    56 "transition_limit: must be from 1 to 250"
    57 "the device's identity has no attribute: add one, such as its mac"
    58 "artifact_keys: not a public key on P-256 (or RSA, with the feature `rsa`) as PEM or DER: number "
    60 "the download was given up: "
    61 "the download link cannot be used: "
    62 "the download link is too long: raise LINK of the client's Resources to its bytes"
    63 "the artifact's host answered with status "
    64 "the download link has expired, and the server gives no new one for this deployment"
    65 "the artifact's host sent another range than asked for"
    66 "the artifact's host: "
    67 "the artifact's host redirects to where it is not followed"
    68 "the network is not up"
    69 "the download link has expired, and the server has no time for a new one"
    70 "the server has aborted the deployment"
    71 "could not be reported"
    72 "the new software could not report to the server in time"
    73 "the module's restart did not happen: restarting the device"
    74 "the device did not restart"
    75 "a record cannot be stored: "
    76 "the deployment's record cannot be read"
    77 "a record does not fit: raise BLOCK or ARTIFACT of the client's Resources"
    78 "this firmware has no update module for the deployment"
    79 "the artifact is not complete"
    80 "no update module for the payload type "
    81 "stored by another version (layout)"
    82 "malformed"
    83 "too long: lend record buffers of at least so many bytes"
    84 "the storage medium failed"
    85 "the record is too long"
    86 "the storage is full: give it more room"
    87 "the storage is damaged"
    88 "each download has restarted the device: not tried again"
}

codes! {
    /// What the codes of the artifact parser mean. In a text, `…` stands for something that a message adds: a name, which
    /// has a code of its own (E210 and above), or a number. A message with codes in the place of texts lists these behind
    /// its code: `E158 E225 44` is "header-info: a key occurs twice (at byte 44)".
    ARTIFACT
    100 "not supported: artifact format version … (only 3 is)"
    101 "not supported: gzip compression; write the artifact with --compression none"
    102 "not supported: xz compression; write the artifact with --compression none"
    103 "not supported: zstd compression; write the artifact with --compression none"
    104 "not supported: augmented artifacts"
    105 "not supported: more than one payload"
    110 "limit exceeded: bytes of version (version_len): … allowed, … needed"
    111 "limit exceeded: bytes of manifest (manifest_len): … allowed, … needed"
    112 "limit exceeded: payload files (files): … allowed, … needed"
    113 "limit exceeded: bytes of a file name (name_len): … allowed, … needed"
    114 "limit exceeded: bytes of manifest.sig (signature_len): … allowed, … needed"
    115 "limit exceeded: bytes of header-info (header_info_len): … allowed, … needed"
    116 "limit exceeded: device types (device_types): … allowed, … needed"
    117 "limit exceeded: bytes of type-info (type_info_len): … allowed, … needed"
    118 "limit exceeded: bytes of meta-data (meta_data_len): … allowed, … needed"
    119 "limit exceeded: levels of nested JSON (json_depth): … allowed, … needed"
    120 "limit exceeded: bytes of a PAX header or GNU long name (extension_len): … allowed, … needed"
    121 "limit exceeded: bytes of the work buffer: … allowed, … needed"
    122 "limit exceeded: bytes of the artifact: … allowed, … needed"
    125 "…: a tar header has a wrong checksum"
    126 "…: not a ustar header"
    127 "…: a malformed size in a tar header"
    128 "…: an entry is longer than the archive"
    129 "…: only regular files are allowed, found tar type '…'"
    130 "…: a malformed PAX header"
    131 "…: a PAX header for a sparse file"
    132 "…: a PAX header or long name occurs twice for one entry"
    133 "…: a PAX header or long name without an entry"
    134 "…: the PAX header contradicts the size of the entry"
    135 "…: a malformed GNU long name"
    136 "…: one zero block instead of two at the end"
    137 "…: no zero blocks at the end"
    138 "…: something else than zeros after the end"
    139 "…: its length is no multiple of 512"
    145 "expected …, found …"
    146 "…: an entry that the format does not know"
    150 "…: not UTF-8 (at byte …)"
    151 "…: a byte order mark (at byte …)"
    152 "…: not a JSON object (at byte …)"
    153 "…: invalid JSON (at byte …)"
    154 "…: invalid JSON: it ends early (at byte …)"
    155 "…: invalid JSON: a control character in a string (at byte …)"
    156 "…: invalid JSON: a malformed escape in a string (at byte …)"
    157 "…: invalid JSON: a malformed number (at byte …)"
    158 "…: a key occurs twice (at byte …)"
    159 "…: something after the JSON object (at byte …)"
    160 "…: unknown key (at byte …)"
    165 "…: \"…\" is missing"
    166 "…: \"…\" has a value of the wrong type"
    167 "…: \"…\" must not be empty"
    168 "…: \"…\" has a value that the format does not allow"
    170 "type-info: the payload type is not the one of header-info"
    171 "type-info: a key occurs both in header-info and in type-info"
    172 "meta-data: not allowed with payload type null"
    173 "manifest: payload files, although the payload type is null"
    175 "manifest, line …: a checksum must be 64 lower-case hex digits"
    176 "manifest, line …: two blanks must separate checksum and name"
    177 "manifest, line …: a name that the format does not allow"
    178 "manifest, line …: a name occurs twice"
    179 "manifest, line …: the last line has no line feed"
    180 "manifest, line …: two headers are listed"
    181 "manifest: version is not listed"
    182 "manifest: header.tar is not listed"
    190 "manifest.sig: not one line of base64"
    191 "manifest.sig: too short for a signature"
    192 "manifest.sig: made by none of the device's keys"
    193 "the artifact is not signed, and the device has keys"
    195 "the SHA-256 of version is not the one in the manifest"
    196 "the SHA-256 of header.tar is not the one in the manifest"
    197 "the SHA-256 of a payload file is not the one in the manifest"
    200 "payload file: a name that the format does not allow"
    201 "payload file: not listed in the manifest"
    202 "payload file: it occurs twice"
    203 "payload file: a file of the manifest is missing"
    205 "the artifact ends early, after … bytes"
    206 "the artifact is for other device types"
    207 "the artifact depends on \"…\", which is not provided"
    208 "the artifact depends on another value of \"…\""
    210 "artifact"
    211 "header.tar"
    212 "data/0000.tar"
    213 "version"
    214 "manifest"
    215 "manifest.sig"
    216 "header.tar"
    217 "data/0000.tar"
    218 "header-info"
    219 "a state script"
    220 "headers/0000/type-info"
    221 "headers/0000/meta-data"
    222 "a payload file"
    223 "the end of the archive"
    224 "version"
    225 "header-info"
    226 "type-info"
    227 "meta-data"
    228 "format"
    229 "version"
    230 "payloads"
    231 "type"
    232 "artifact_provides"
    233 "artifact_name"
    234 "artifact_group"
    235 "artifact_depends"
    236 "device_type"
    237 "clears_artifact_provides"
}

codes! {
    /// What the codes of the provides mean.
    PROVIDES
    240 "the stored provides are damaged"
    241 "the provides do not fit"
    242 "a provides key or value is too long"
}

/// Every code with its text, group by group.
pub const ALL: &[&[(u16, &str)]] = &[CLIENT, ARTIFACT, PROVIDES];
