// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "broker/device_work.hpp"
#include "broker/limits.hpp"
#include "pci/inventory.hpp"
#include "pf_match.hpp"

namespace vfb::daemon {
namespace {

using broker::Problem;

bool is_missing(const std::string& directory) {
    const auto dir = Dir::open(directory);
    return !dir && dir.error().errnum == ENOENT;
}

// That of the PF that is `address` here.
void check_pf(const broker::Config& config, const broker::PfConfig& pf, const pci::Address& address,
              const broker::DeviceWork& work, ConfigReport& report) {
    const auto limits = work.read_limits(address, broker::asked_attributes(config, pf));
    if (!limits) {
        report.notes.push_back(
            {.where = pf.location, .text = limits.error().message(), .hint = limits.error().hint});
        return;
    }
    for (const auto& [where, error] : broker::refusals(config, pf, address, *limits))
        report.problems.push_back({.where = where, .text = error.message(), .hint = error.hint});
}

void check_machine(const broker::Config& config, const SysRoot& root, ConfigReport& report) {
    if (config.pfs.empty()) return;
    const auto read = pci::Inventory(root, false).read_all();
    if (!read) {
        report.notes.push_back({.where = {.file = report.directory},
                                .text = "not compared with this machine: " + read.error().message(),
                                .hint = read.error().hint});
        return;
    }
    iommu::Functions functions;
    for (const auto& function : *read) functions.emplace(function.address, function);
    const broker::DeviceWork work(root);
    const auto matches = match_pfs(config.pfs, functions);
    for (const auto& pf : config.pfs) {
        const auto& match = matches.at(pf.name);
        if (match) {
            check_pf(config, pf, *match, work, report);
            continue;
        }
        auto& list = match.error().code == Code::not_found ? report.notes : report.problems;
        list.push_back(
            {.where = pf.location, .text = match.error().message(), .hint = match.error().hint});
    }
    std::ranges::stable_sort(report.problems, {}, [](const Problem& problem) {
        return std::tie(problem.where.file, problem.where.line, problem.where.column);
    });
}

std::string paragraph(std::string_view kind, const Problem& problem) {
    const std::string hint = problem.hint.empty() ? "" : fmt::format("hint: {}\n", problem.hint);
    return fmt::format("{}: {}{}\n{}\n", problem.where.str(), kind, problem.text, hint);
}

std::string counted(std::size_t number, std::string_view what) {
    return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

proto::Json to_json(const std::vector<Problem>& problems) {
    proto::Json list = proto::Json::array();
    for (const auto& problem : problems) {
        proto::Json entry{{"file", problem.where.file}};
        if (problem.where.line != 0) {
            entry["line"] = problem.where.line;
            entry["column"] = problem.where.column;
        }
        entry["message"] = problem.text;
        entry["hint"] = problem.hint;
        list.push_back(std::move(entry));
    }
    return list;
}

}  // namespace

ConfigReport check_directory(const std::string& directory, bool must_exist, const SysRoot& root) {
    ConfigReport report;
    report.directory = directory;
    if (is_missing(directory)) {
        auto& list = must_exist ? report.problems : report.notes;
        list.push_back({.where = {.file = directory},
                        .text = "there is no such folder, so nothing is managed",
                        .hint = must_exist ? "" : "see vfbroker.toml(5)"});
        return report;
    }
    auto checked = broker::check_config(directory);
    for (const auto& entry : checked.config.files) report.files.push_back(entry.first);
    report.problems = std::move(checked.problems);
    if (!report.problems.empty()) return report;
    if (report.files.empty())
        report.notes.push_back({.where = {.file = directory},
                                .text = "no file in it ends in .toml, so nothing is managed",
                                .hint = "see vfbroker.toml(5)"});
    check_machine(checked.config, root, report);
    return report;
}

std::string to_text(const ConfigReport& report) {
    std::string text;
    for (const auto& problem : report.problems) text += paragraph("", problem);
    for (const auto& note : report.notes) text += paragraph("note: ", note);
    const auto mistakes = report.problems.size();
    return text + fmt::format("{}: {}, {}\n", report.directory,
                              counted(report.files.size(), "file"),
                              mistakes == 0 ? "no mistake" : counted(mistakes, "mistake"));
}

proto::Json to_json(const ConfigReport& report) {
    return {{"directory", report.directory},
            {"files", report.files},
            {"problems", to_json(report.problems)},
            {"notes", to_json(report.notes)}};
}

}  // namespace vfb::daemon
