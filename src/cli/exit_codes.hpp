// SPDX-License-Identifier: GPL-2.0-or-later
//
// What `vfbroker` exits with. Stable: scripts test for them. docs/vfbroker.1.scd says the same.
#pragma once

#include "base/result.hpp"

namespace vfb::cli {

inline constexpr int kOk = 0;
inline constexpr int kFailure = 1;
inline constexpr int kUsage = 2;
inline constexpr int kChanges = 2;  // of plan, as others of its kind have it
inline constexpr int kDenied = 3;
inline constexpr int kNotFound = 4;
inline constexpr int kBusy = 5;
inline constexpr int kTimeout = 6;
inline constexpr int kNotRunning = 7;
inline constexpr int kDoctorWarning = 10;
inline constexpr int kDoctorFailure = 11;
inline constexpr int kCannotExecute = 127;  // as shells have it

// Part of --help.
inline constexpr const char* kExitCodesHelp =
    "Exit status:\n"
    "  0    success\n"
    "  1    failure\n"
    "  2    usage: wrong option, argument or value; plan: there are differences\n"
    "  3    denied\n"
    "  4    no such function, pool or lease\n"
    "  5    busy or exhausted: may succeed later\n"
    "  6    timeout\n"
    "  7    the daemon is not running\n"
    "  10   doctor: the worst finding is a warning\n"
    "  11   doctor: the worst finding is a failure\n"
    "  127  run: the command cannot be executed";

constexpr int exit_code(Code code) {
    switch (code) {
        case Code::invalid:
            return kUsage;
        case Code::denied:
            return kDenied;
        case Code::not_found:
            return kNotFound;
        case Code::busy:
        case Code::exhausted:
            return kBusy;
        case Code::timeout:
            return kTimeout;
        case Code::not_running:
            return kNotRunning;
        case Code::failed:
        case Code::unsupported:
        case Code::not_viable:
        case Code::lost:
        case Code::stuck:
        case Code::protocol:
            return kFailure;
    }
    return kFailure;
}

}  // namespace vfb::cli
