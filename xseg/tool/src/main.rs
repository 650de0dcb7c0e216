//! The `xseg` command: makes, shows, repairs and exercises segments.
//!
//! What only looks asks no peer and changes nothing, so it works on a segment whose peers are all dead. What sends
//! requests binds a dynamic port of its own and waits no longer than `--timeout`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use context::Context;

mod accounts;
mod args;
mod client;
mod commands;
mod context;
mod exit;
mod histogram;
mod load;
mod output;
mod pattern;
mod stand_in;
mod units;

fn main() -> ExitCode {
    let parsed = Cli::command()
        .after_help(exit::help())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let code = match parsed {
        Ok(cli) => run(&cli).map_or_else(|error| exit::report(&error, cli.global.json), |()| 0),
        Err(error) => exit::report_usage(&error, std::env::args_os().any(|arg| arg == "--json")),
    };
    ExitCode::from(code)
}

fn run(cli: &Cli) -> Result<()> {
    let mut context = Context::new(&cli.global)?;
    let done = dispatch(&mut context, &cli.command);
    // What was printed before a failure is seen before its message.
    let flushed = context.out.flush();
    done?;
    Ok(flushed?)
}

fn dispatch(context: &mut Context, command: &Command) -> Result<()> {
    use commands::{
        bench, create, inspect, ops, ping, read, recover, report, rnd, route, serve, top, verify,
        write,
    };
    use xseg::OpCode;
    match command {
        Command::Create(args) => create::create(context, args),
        Command::Destroy { force } => create::destroy(context, *force),
        Command::Report { port: None } => report::totals(context),
        Command::Report { port: Some(port) } => report::one(context, *port),
        Command::Reportall => report::all(context),
        Command::Verify { fix } => verify::verify(context, *fix),
        Command::Settle { port } => recover::settle(context, *port),
        Command::Recoverport(args) => recover::recover_port(context, args.port),
        Command::Inspect(args) => inspect::port(context, args.port),
        Command::Request { index } => inspect::request(context, *index),
        Command::Failreq { index } => recover::fail_request(context, *index),
        Command::Ping(args) => ping::ping(context, args),
        Command::Signal(args) => route::signal(context, args.port),
        Command::Route(args) => route::route(context, args),
        Command::Serve(args) => serve::serve(context, args),
        Command::Op(args) => ops::by_hand(context, args),
        Command::Read(args) => read::read(context, args),
        Command::Write(args) => write::write(context, args),
        Command::Info(args) => ops::on_target(context, OpCode::INFO, args),
        Command::Delete(args) => ops::on_target(context, OpCode::DELETE, args),
        Command::Acquire(args) => ops::on_target(context, OpCode::ACQUIRE, args),
        Command::Release(args) => ops::on_target(context, OpCode::RELEASE, args),
        Command::Copy(args) => ops::duplicate(context, OpCode::COPY, args),
        Command::Clone(args) => ops::duplicate(context, OpCode::CLONE, args),
        Command::Snapshot(args) => ops::duplicate(context, OpCode::SNAPSHOT, args),
        Command::Hash(args) => ops::on_target(context, OpCode::HASH, args),
        Command::Flush(args) => ops::on_target(context, OpCode::FLUSH, args),
        Command::Discard(args) => ops::on_range(context, OpCode::DISCARD, args),
        Command::Rnd(args) => rnd::rnd(context, args),
        Command::Bench(args) => bench::bench(context, args),
        Command::Top(args) => top::top(context, args),
    }
}
