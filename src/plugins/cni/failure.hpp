// SPDX-License-Identifier: GPL-2.0-or-later
//
// Failure: what a CNI plugin says on standard output when it cannot do what it is asked for (CNI
// specification, "Error"): a number, what failed and why, and what to do.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::cni {

// Numbers of the specification; those from 100 on are ours: 100 + the value of vfb_code
// (include/vfbroker/vfbroker.h).
enum : int {
    kIncompatibleVersion = 1,
    kUnsupportedField = 2,
    kInvalidEnvironment = 4,
    kIo = 5,
    kUndecodable = 6,
    kInvalidConfig = 7,
    kTryAgainLater = 11,
    kUnavailable = 50,
    kOurs = 100,
};

inline constexpr std::string_view kCorrectConfig =
    "correct the network's configuration, by default below /etc/cni/net.d: vfbroker-cni(8) lists "
    "its fields";

struct Failure {
    int code = kOurs;
    std::string msg;
    std::string details;  // what to do

    Failure(int number, std::string message, std::string what_to_do)
        : code(number), msg(std::move(message)), details(std::move(what_to_do)) {}
    // Implicit, so that an Error can be returned from whatever may end in a Failure.
    Failure(const Error& error);  // NOLINT(google-explicit-constructor,hicpp-explicit-conversions)
};

template <class T = void>
using Outcome = std::expected<T, Failure>;

proto::Json to_json(const Failure& failure, const std::string& cni_version);

}  // namespace vfb::cni
