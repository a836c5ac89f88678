//! The documentation names what exists: files, links, commands and options.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the repository with one of `extensions`; build outputs and environments left out.
fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let left_out = ["target", "out", "dist", "node_modules", "corpus", "seeds"].contains(&name);
        if path.is_dir() {
            if !left_out && (!name.starts_with('.') || name == ".github") {
                files(&path, extensions, found);
            }
        } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
            found.push(path);
        }
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The text without fenced code blocks.
fn prose(text: &str) -> String {
    let mut inside = false;
    let outside = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    };
    text.lines().filter(outside).collect::<Vec<_>>().join("\n")
}

/// Targets of the links and images in Markdown; code is left out.
fn links(markdown: &str) -> Vec<String> {
    // Code within a line is every second piece between backticks; a link's text may hold code.
    let text = prose(markdown);
    text.match_indices("](")
        .filter(|(at, _)| {
            let paragraph = text[..*at].rfind("\n\n").map_or(0, |start| start);
            text[paragraph..*at].matches('`').count().is_multiple_of(2)
        })
        .filter_map(|(at, _)| text[at + 2..].split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}

/// The targets of a page's links that lead to no file.
fn broken(page: &Path, markdown: &str) -> Vec<String> {
    let folder = page.parent().unwrap();
    links(markdown)
        .into_iter()
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .filter(|target| !folder.join(target.split('#').next().unwrap()).exists())
        .collect()
}

#[test]
fn every_relative_link_in_markdown_leads_to_a_file() {
    let mut pages = Vec::new();
    files(root(), &["md"], &mut pages);
    assert!(pages.len() > 20, "{} pages", pages.len());
    let mut wrong = Vec::new();
    for page in pages {
        let markdown = std::fs::read_to_string(&page).unwrap();
        wrong.extend(broken(&page, &markdown).iter().map(|t| format!("{}: {t}", shown(&page))));
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn a_broken_link_is_noticed() {
    let page = root().join("docs/reference/abi.md");
    let fine = "[a](bundle.md#fixed) [`b`](../../README.md) [c](https://x.y) [d](#e) `[f](g.md)`\n\
                ```\n[h](i.md)\n```\n";
    assert!(broken(&page, fine).is_empty(), "{:?}", broken(&page, fine));
    assert_eq!(broken(&page, "see [`a`](README.md), ![b](c.png)"), ["README.md", "c.png"]);
}

/// Paths in backticks: with a slash, or with the ending of a file.
fn paths(markdown: &str) -> Vec<String> {
    let endings = [".rs", ".md", ".toml", ".h", ".hpp", ".py", ".yml", ".sh", ".c", ".cpp"];
    prose(markdown)
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| !code.contains([' ', '<', '(', ':', '*', '{']))
        .filter(|code| code.contains('/') || endings.iter().any(|e| code.ends_with(e)))
        .map(str::to_owned)
        .collect()
}

/// Folders of the repository: a path in prose that begins with one is meant from the root.
const FOLDERS: [&str; 10] = [
    "benches/",
    "bindings/",
    "docs/",
    "fuzz/",
    "include/",
    "models/",
    "plugins/",
    "src/",
    "tests/",
    "training/",
];

#[test]
fn every_path_in_the_documentation_exists() {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    files(&root().join("docs"), &["md"], &mut pages);
    let mut missing = Vec::new();
    let mut count = 0;
    for page in &pages {
        let markdown = std::fs::read_to_string(page).unwrap();
        // All paths of this page are meant from the root.
        let all = page.ends_with("architecture.md");
        let named = paths(&markdown).into_iter();
        for path in named {
            let code = path.contains('/') && [".rs", ".py"].iter().any(|e| path.ends_with(e));
            if !all && !code && !FOLDERS.iter().any(|f| path.starts_with(f)) {
                continue;
            }
            count += 1;
            // Code is also named from the folder that its page is about.
            let tops: &[&str] = if code { &["", "src", "training/nasoseg_train"] } else { &[""] };
            if !tops.iter().any(|top| root().join(top).join(&path).exists()) {
                missing.push(format!("{}: {path}", shown(page)));
            }
        }
    }
    assert!(count > 100, "{count} paths");
    assert!(missing.is_empty(), "paths that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn every_page_that_a_source_file_names_exists() {
    let mut sources = Vec::new();
    let extensions = ["rs", "py", "h", "hpp", "c", "cpp", "sh", "toml", "yml", "txt"];
    files(root(), &extensions, &mut sources);
    let mut missing = Vec::new();
    for source in &sources {
        let text = std::fs::read_to_string(source).unwrap_or_default();
        for (at, _) in text.match_indices("docs/") {
            let end = text[at..].find(|c: char| !c.is_alphanumeric() && !"/._-".contains(c));
            let page = text[at..at + end.unwrap_or(text.len() - at)].trim_end_matches('.');
            if page.ends_with(".md") && !root().join(page).exists() {
                missing.push(format!("{}: {page}", shown(source)));
            }
        }
    }
    assert!(missing.is_empty(), "pages that do not exist:\n{}", missing.join("\n"));
}

const COMMANDS: [&str; 8] =
    ["run", "detect", "segment", "contour", "evaluate", "prepare", "info", "doctor"];

fn help(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_nasoseg"))
        .args(arguments)
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The options and arguments of a command's help: (how it is typed, what it does).
fn options(help: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut listed = false;
    let mut paragraph = false;
    for line in help.lines() {
        let text = line.trim();
        if !line.starts_with(' ') && !text.is_empty() {
            listed = ["Options:", "Arguments:"].contains(&text);
        } else if listed && !text.is_empty() {
            let indent = line.len() - line.trim_start().len();
            if indent < 10 && text.starts_with(['-', '<', '[']) {
                let (typed, what) = text.split_once("  ").unwrap_or((text, ""));
                found.push((typed.to_owned(), what.trim().to_owned()));
            } else {
                let what = &mut found.last_mut().unwrap().1;
                // A paragraph of one line without a full stop is a heading of what follows.
                let stop = paragraph && what.ends_with(char::is_alphanumeric);
                let joint = if stop && !text.starts_with('[') { ". " } else { " " };
                *what = format!("{what}{joint}{text}").trim().to_owned();
            }
        }
        paragraph = text.is_empty();
    }
    found
}

/// A command as a section of docs/reference/cli.md.
fn section(command: &str) -> String {
    let help = help(&[command, "--help"]);
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap();
    let (about, _) = help.split_once("\n\nUsage:").unwrap();
    let mut text = format!("\n## nasoseg {command}\n\n");
    for paragraph in about.split("\n\n") {
        writeln!(text, "{}\n", filled(paragraph, 100, "")).unwrap();
    }
    writeln!(text, "```\n{}\n```\n\n| option | |\n|---|---|", filled(usage, 96, "    ")).unwrap();
    let escaped = |words: &str| words.replace('|', "\\|").replace('<', "&lt;");
    for (typed, what) in options(&help) {
        writeln!(text, "| `{}` | {} |", typed.replace('|', "\\|"), escaped(&what)).unwrap();
    }
    text
}

/// Words in lines of at most `width` columns; later lines begin with `indent`.
fn filled(text: &str, width: usize, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().unwrap();
        if line.len() + 1 + word.len() > width {
            lines.push(format!("{indent}{word}"));
        } else {
            let space = if line.is_empty() { "" } else { " " };
            write!(line, "{space}{word}").unwrap();
        }
    }
    lines.join("\n")
}

#[test]
fn the_command_line_page_is_the_programs_help() {
    let path = root().join("docs/reference/cli.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (own, _) = page.split_once("-->\n").expect("the comment before the program's help");
    let sections: String = COMMANDS.iter().map(|command| section(command)).collect();
    let made = format!("{own}-->\n{sections}");
    if std::env::var_os("NASOSEG_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap() == made,
        "docs/reference/cli.md differs from the program's help. \
         Run NASOSEG_BLESS=1 cargo test --test docs and commit it"
    );
    let listed = help(&["--help"]);
    let (_, commands) = listed.split_once("Commands:\n").unwrap();
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> = names.filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, [&COMMANDS[..], &["help"]].concat(), "COMMANDS of this test");
}
