//! Prints every fuzz target, one a line: its name and the directories of its seeds, separated by tabs. For `cargo xtask
//! test`.

fn main() {
    for target in hyaline_fuzz::TARGETS {
        println!("{}\t{}", target.name, target.seeds.join("\t"));
    }
}
