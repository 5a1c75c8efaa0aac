// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfbrokerd: hands PCI functions to virtual machines and containers. See vfbrokerd(8).
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "config_check.hpp"
#include "daemon.hpp"
#include "doctor/doctor.hpp"
#include "explain_wire.hpp"
#include "log.hpp"
#include "proto/connection.hpp"
#include "worker_main.hpp"

namespace {

using namespace vfb;

constexpr int kFailure = 1;
constexpr int kWorkerSocket = 3;

int serve(const daemon::Options& options, const SysRoot& root) {
    // Workers are waited for by nobody; a peer that goes away is an error of write(2).
    (void)std::signal(SIGCHLD, SIG_IGN);
    (void)std::signal(SIGPIPE, SIG_IGN);
    // A long answer is memory of its own, which goes back when it is sent. Without this, glibc
    // keeps what was freed once for the next of that size.
    (void)::mallopt(M_MMAP_THRESHOLD, 128 << 10);
    (void)::mallopt(M_TRIM_THRESHOLD, 128 << 10);
    auto created = daemon::Daemon::create(options, root);
    if (!created) {
        daemon::log_error(created.error());
        return kFailure;
    }
    return (*created)->run();
}

bool print(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
           std::fflush(stdout) == 0;
}

// The checks of Diagnose for `vfbroker doctor` where no daemon runs: its reply on standard output.
// Nothing is changed, no state is opened.
int diagnose(const SysRoot& root) {
    const auto findings = doctor::diagnose(doctor::read_host(root, nullptr));
    const proto::Json reply{{"findings", daemon::to_json(findings)}};
    return print(reply.dump(-1, ' ', false, proto::Json::error_handler_t::replace)) ? 0 : kFailure;
}

// `directory` empty: that of the configuration.
int check(const std::string& directory, const daemon::Options& options, bool json,
          const SysRoot& root) {
    const auto report = daemon::check_directory(directory.empty() ? options.config : directory,
                                                !directory.empty(), root);
    const auto text =
        json ? daemon::to_json(report).dump(2, ' ', false, proto::Json::error_handler_t::replace) +
                   "\n"
             : daemon::to_text(report);
    return print(text) && report.problems.empty() ? 0 : kFailure;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Hands PCI functions to virtual machines and containers; see vfbrokerd(8)."};
    daemon::Options options;
    options.socket = proto::kSocketPath;
    std::string worker;
    app.set_version_flag("--version", std::string("vfbrokerd ") + VFB_VERSION);
    app.add_option("--config", options.config, "Folder of the configuration (*.toml)")
        ->capture_default_str();
    app.add_option("--state", options.state, "State database; must not outlive a boot")
        ->capture_default_str();
    app.add_option("--socket", options.socket, "Socket to listen on when systemd passes none")
        ->capture_default_str();
    app.add_option("--root", options.root,
                   "Where sys, dev and proc are; another than / is a recorded tree, for tests")
        ->capture_default_str();
    bool doctor = false;
    app.add_flag("--doctor", doctor,
                 "Check this host, print what was found as JSON, and exit (vfbroker doctor)");
    bool give_back = false;
    auto* const give = app.add_flag("--give-back", give_back,
                                    "Give all functions back to the host as they were found, and "
                                    "exit (no other vfbrokerd may run)");
    app.add_flag("--despite-leases", options.despite_leases,
                 "With --give-back: what is leased stays with its holder, all else goes back")
        ->needs(give);
    std::string directory;
    auto* const check_option =
        app.add_option(
               "--check", directory,
               "Say all that is wrong with the configuration (in DIR, or that of --config), "
               "and exit: 0 nothing, 1 something (vfbroker check)")
            ->type_name("[DIR]")
            ->expected(0, 1);
    bool json = false;
    app.add_flag("--json", json, "Say it as JSON")->needs(check_option);
    // Internal: a worker process, with its socket as descriptor 3.
    app.add_option("--worker", worker)->group("");
    CLI11_PARSE(app, argc, argv);

    const auto root = options.root == "/" ? SysRoot::host() : SysRoot::at(options.root);
    if (!root) {
        daemon::log_error(root.error());
        return kFailure;
    }
    if (!worker.empty()) daemon::run_worker(UniqueFd(kWorkerSocket), *root);
    if (check_option->count() > 0) return check(directory, options, json, *root);
    if (doctor) return diagnose(*root);
    if (give_back) options.task = daemon::Task::give_back;
    return serve(options, *root);
}
