# The handful of commands. Each is one line that can be typed without `just`.

# what there is
default:
    @just --list

# the tour: everything started, plugins deployed, posts written, a replay; serves until Ctrl-C
demo *flags:
    cargo run --release -- demo {{flags}}

# formatting, lints, every test (--quick: the tests only)
test *flags:
    scripts/test {{flags}}

# what continuous integration runs: the tests with PostgreSQL
ci:
    .ci/run

# real servers for tests: start, stop, kill, wipe, env, status
servers *arguments:
    scripts/servers {{arguments}}

# formats the sources
fmt:
    cargo fmt --all
