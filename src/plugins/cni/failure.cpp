// SPDX-License-Identifier: GPL-2.0-or-later
#include "failure.hpp"

namespace vfb::cni {
namespace {

int number_of(Code code) {
    switch (code) {
        case Code::invalid:
            return kInvalidConfig;
        case Code::busy:
        case Code::timeout:
        case Code::not_running:
            return kTryAgainLater;
        case Code::failed:
            return kOurs + 1;
        case Code::denied:
            return kOurs + 3;
        case Code::not_found:
            return kOurs + 4;
        case Code::unsupported:
            return kOurs + 8;
        case Code::not_viable:
            return kOurs + 9;
        case Code::exhausted:
            return kOurs + 10;
        case Code::lost:
            return kOurs + 11;
        case Code::stuck:
            return kOurs + 12;
        case Code::protocol:
            return kOurs + 13;
    }
    return kOurs;
}

// What was refused as malformed came from the configuration.
std::string details_of(const Error& error) {
    if (error.hint.empty() && error.code == Code::invalid) return std::string(kCorrectConfig);
    return error.hint;
}

}  // namespace

Failure::Failure(const Error& error)
    : code(number_of(error.code)), msg(error.message()), details(details_of(error)) {}

proto::Json to_json(const Failure& failure, const std::string& cni_version) {
    return {{"cniVersion", cni_version},
            {"code", failure.code},
            {"msg", failure.msg},
            {"details", failure.details}};
}

}  // namespace vfb::cni
