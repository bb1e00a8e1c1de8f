//! `include/mp.h` is what cbindgen makes of `src/ffi`. `MP_BLESS=1 cargo test --test header` rewrites it, and
//! `abi/libmp.symbols` with it.

use std::fs;
use std::path::{Path, PathBuf};

/// How long a line of the header may be.
const WIDTH: usize = 118;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The header's order: that of need. Modules that are not named here come last.
const ORDER: &[&str] = &[
    "status",
    "types",
    "runtime",
    "buffer",
    "call",
    "process_options",
    "process",
    "forkserver",
    "outcome",
    "current",
    "lock",
    "rlock",
    "semaphore",
    "event",
    "condition",
    "barrier",
    "queue",
    "many",
    "connection",
    "value",
    "atomic",
    "array",
    "memory",
    "pool",
    "result",
    "arena",
    "named",
    "wait",
    "cancel",
];

/// The modules of the boundary, in the header's order.
fn modules() -> Vec<PathBuf> {
    let text = read("src/ffi/mod.rs");
    let mut names: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    names.sort_by_key(|name| ORDER.iter().position(|known| known == name).unwrap_or(ORDER.len()));
    names.into_iter().map(|name| root().join(format!("src/ffi/{name}.rs"))).collect()
}

fn functions(header: &str) -> Vec<&str> {
    let declarations = header.lines().filter(|line| line.starts_with("MP_API "));
    let mut names: Vec<&str> =
        declarations.map(|line| line.split('(').next().unwrap().rsplit([' ', '*']).next().unwrap()).collect();
    names.sort_unstable();
    names
}

/// Each struct of options gets its inline `_init`: only the program knows how large its struct is. After them come the
/// inline functions that `mp.h.in` has.
fn with_inlines(header: String, more: &str) -> String {
    let mut inits = String::new();
    for name in functions(&header).into_iter().filter_map(|name| name.strip_suffix("_defaults")) {
        inits += &format!(
            "/** Writes the defaults into `options` and sets its size. *Returns* `MP_OK`, or `MP_ERR_INVALID` for NULL. */\n\
             static inline mp_status {name}_init({name} *options) {{\n    \
                 return {name}_defaults(options, sizeof *options);\n}}\n\n"
        );
    }
    let end = header.rfind("#ifdef __cplusplus").expect("the end of extern \"C\"");
    format!("{}{inits}{}\n\n{}", &header[..end], more.trim(), &header[end..])
}

/// `-4` becomes `(-4)`, so that the macro is one operand wherever it stands.
fn with_parentheses(line: String) -> String {
    match line.strip_prefix("#define ").and_then(|definition| definition.split_once(" -")) {
        Some((name, number)) => format!("#define {name} (-{number})"),
        None => line,
    }
}

/// A declaration in one line, or in several of a decent length. All structs have typedefs.
fn wrapped(declaration: &str) -> String {
    let words: Vec<&str> = declaration.split_whitespace().collect();
    let declaration = words.join(" ").replace("struct ", "");
    let mut lines = vec![String::new()];
    for part in declaration.split_inclusive(", ") {
        let line = lines.last_mut().unwrap();
        if line.len() + part.trim_end().len() <= WIDTH {
            line.push_str(part);
        } else {
            lines.push(format!("    {part}"));
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// Puts what cbindgen spreads over several lines into one where it fits: short comments and declarations.
fn compact(header: &str) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if line == "MP_API" || line.starts_with("MP_API ") {
            let mut declaration = line.to_owned();
            while !declaration.ends_with(';') {
                declaration = format!("{declaration} {}", lines.next().expect("a whole declaration"));
            }
            out.push(wrapped(&declaration));
            continue;
        }
        let open = out.len().checked_sub(2).filter(|&at| out[at].trim_start() == "/**");
        match (open, out.last().and_then(|last| last.trim_start().strip_prefix("* "))) {
            (Some(at), Some(text)) if line.trim_start() == "*/" && text.len() + indent.len() + 6 <= WIDTH => {
                let indent = &indent[..indent.len() - 1];
                out[at] = format!("{indent}/** {text} */");
                out.pop();
            }
            _ => out.push(with_parentheses(line.to_owned())),
        }
    }
    out.join("\n") + "\n"
}

fn generate() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let text = read("src/ffi/mp.h.in");
    let (introduction, rest) = text.split_once("/* -- macros -- */\n").expect("three parts");
    let (macros, inlines) = rest.split_once("/* -- inlines -- */\n").expect("three parts");
    config.header = Some(introduction.trim_end().to_owned());
    config.after_includes = Some(macros.trim_end().to_owned());
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = modules().iter().fold(builder, |builder, module| builder.with_src(module));
    let mut bytes = Vec::new();
    builder.generate().unwrap().write(&mut bytes);
    with_inlines(compact(&String::from_utf8(bytes).unwrap()), inlines)
}

fn compare(path: &str, expected: &str) {
    if std::env::var_os("MP_BLESS").is_some() {
        fs::create_dir_all(root().join(path).parent().unwrap()).unwrap();
        fs::write(root().join(path), expected).unwrap();
    }
    let found = fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
    let differs = differs.unwrap_or(found.lines().count().min(expected.lines().count())) + 1;
    assert!(
        found == expected,
        "{path} is not current (line {differs}): run MP_BLESS=1 cargo test --test header, and look at the difference"
    );
}

#[test]
fn the_header_and_the_list_of_symbols_are_current() {
    let header = generate();
    compare("include/mp.h", &header);
    let symbols: String = functions(&header).iter().map(|name| format!("{name}\n")).collect();
    compare("abi/libmp.symbols", &symbols);
}

#[test]
fn every_item_is_documented() {
    let header = generate();
    let lines: Vec<&str> = header.lines().collect();
    let undocumented = |(i, line): (usize, &&str)| {
        let item = line.starts_with("MP_API ") || line.starts_with("typedef ") && !line.ends_with("(");
        (item && !lines[i - 1].trim_end().ends_with("*/")).then(|| line.to_string())
    };
    let missing: Vec<String> = lines.iter().enumerate().filter_map(undocumented).collect();
    assert!(missing.is_empty(), "without a comment: {missing:#?}");
}
