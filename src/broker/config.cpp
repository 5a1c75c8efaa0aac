// SPDX-License-Identifier: GPL-2.0-or-later
//
// The configuration as a whole: files merged, tables compared with each other.
#include "broker/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/sys_root.hpp"
#include "config_parse.hpp"
#include "config_text.hpp"

namespace vfb::broker {
namespace {

// More would be of no use to anybody, and an Error travels over the wire.
constexpr std::size_t kMostProblems = 20;

using Problems = std::vector<Problem>;

template <class T>
const T* find_named(const std::vector<T>& list, std::string_view name) {
    const auto found = std::ranges::find(list, name, &T::name);
    return found == list.end() ? nullptr : &*found;
}

// Sorts by name; of two with one name the later is reported and dropped.
template <class T>
void merge(std::vector<T>& list, std::string_view kind, Problems& problems) {
    std::ranges::stable_sort(list, {}, &T::name);
    for (auto at = list.begin(); at != list.end() && at + 1 != list.end();) {
        const auto next = at + 1;
        if (next->name != at->name) {
            ++at;
            continue;
        }
        problems.push_back({next->location,
                            fmt::format("[{}.{}] is defined twice, the first time at {}", kind,
                                        at->name, at->location.str()),
                            "all files are read as one: keep one of the two"});
        list.erase(next);
    }
}

void check_pfs(const Config& config, Problems& problems) {
    for (auto one = config.pfs.begin(); one != config.pfs.end(); ++one)
        for (auto other = one + 1; other != config.pfs.end(); ++other)
            if (one->selector == other->selector && !one->selector.empty())
                problems.push_back(
                    {other->location,
                     fmt::format("[pf.{}] and [pf.{}] ({}) select the same PF: {}", other->name,
                                 one->name, one->location.str(), one->selector.str()),
                     "give them selectors that differ, or keep one of the two"});
}

std::vector<std::string_view> names_of_pfs(const Config& config) {
    std::vector<std::string_view> names;
    for (const auto& pf : config.pfs) names.push_back(pf.name);
    return names;
}

// The PFs of a pool exist and have as many VFs as it wants.
void check_pool(const Config& config, const PoolConfig& pool, Problems& problems) {
    for (const auto& name : pool.pfs) {
        const auto* const pf = config.find_pf(name);
        if (pf == nullptr) {
            auto hint = did_you_mean(name, names_of_pfs(config));
            if (hint.empty()) hint = "define it in a table [pf.NAME]";
            problems.push_back(
                {pool.location,
                 fmt::format("[pool.{}] wants VFs of PF {}, which is defined nowhere", pool.name,
                             quoted(name)),
                 std::move(hint)});
        } else if (pf->vfs != 0 && pool.vfs && pool.vfs->back() >= pf->vfs) {
            problems.push_back(
                {pool.location,
                 fmt::format("[pool.{}] wants VF {} of PF '{}', which has {} (vfs = {} at {})",
                             pool.name, pool.vfs->back(), name,
                             pf->vfs == 1 ? "only VF 0" : fmt::format("only 0 to {}", pf->vfs - 1),
                             pf->vfs, pf->location.str()),
                 "raise 'vfs' of the PF, or take fewer for the pool"});
        }
    }
}

// What both have of one PF; "all" is as many as the PF has.
std::vector<unsigned> shared_indexes(const PfConfig& pf, const PoolConfig& a, const PoolConfig& b) {
    std::vector<unsigned> shared;
    for (unsigned index = 0; index < pf.vfs; ++index)
        if (a.contains(pf.name, index) && b.contains(pf.name, index)) shared.push_back(index);
    return shared;
}

void check_overlaps(const Config& config, Problems& problems) {
    for (auto one = config.pools.begin(); one != config.pools.end(); ++one)
        for (auto other = one + 1; other != config.pools.end(); ++other)
            for (const auto& pf : config.pfs)
                if (const auto shared = shared_indexes(pf, *one, *other); !shared.empty())
                    problems.push_back(
                        {other->location,
                         fmt::format("[pool.{}] and [pool.{}] ({}) both have VF {} of PF '{}'",
                                     other->name, one->name, one->location.str(),
                                     indexes_text(shared), pf.name),
                         "a VF is in one pool: give each its own indexes with 'vfs'"});
}

Error to_error(const Problem& problem) {
    return {.code = Code::invalid,
            .errnum = 0,
            .operation = "read the configuration " + problem.where.str(),
            .subject = problem.where.str(),
            .reason = problem.text,
            .hint = problem.hint,
            .cause = nullptr};
}

// In the order in which one reads the files; the first is the error, the others its causes.
Error to_error(Problems problems, const std::vector<std::string>& files) {
    const auto place = [&](const Problem& problem) {
        return std::tuple(std::ranges::find(files, problem.where.file) - files.begin(),
                          problem.where.line, problem.where.column);
    };
    std::ranges::stable_sort(problems, {}, place);
    if (problems.size() > kMostProblems) problems.resize(kMostProblems);
    auto error = to_error(problems.back());
    for (problems.pop_back(); !problems.empty(); problems.pop_back()) {
        auto before = to_error(problems.back());
        before.cause = std::make_shared<const Error>(std::move(error));
        error = std::move(before);
    }
    return error;
}

Result<Config> finish(Config config, Problems problems) {
    merge(config.pfs, "pf", problems);
    merge(config.pools, "pool", problems);
    // What is wrong in one table would make others look wrong: "all VFs" of a pool whose indexes
    // could not be read, a PF missing for a misplaced comma.
    if (problems.empty()) {
        check_pfs(config, problems);
        for (const auto& pool : config.pools) check_pool(config, pool, problems);
        check_overlaps(config, problems);
    }
    if (!problems.empty()) return std::unexpected(to_error(std::move(problems), config.files));
    return config;
}

bool is_config_file(std::string_view name) {
    return name.ends_with(".toml") && !name.starts_with('.');
}

using NamedTexts = std::map<std::string, std::string>;

// All files of the directory, in order of their names.
Result<NamedTexts> read_files(const std::string& directory) {
    NamedTexts files;
    const auto dir = Dir::open(directory);
    if (!dir && dir.error().errnum == ENOENT) return files;
    if (!dir) return std::unexpected(dir.error());
    VFB_TRY(const auto names, dir->list());
    for (const auto& name : names) {
        if (!is_config_file(name)) continue;
        VFB_TRY(files[name], dir->read(name));
    }
    return files;
}

// The name of a file of the configuration.
Result<std::string> name_in(const std::string& directory, const std::string& file) {
    const std::string folder = directory + "/";
    const std::string name = file.starts_with(folder) ? file.substr(folder.size()) : file;
    if (is_config_file(name) && name.find('/') == name.npos) return name;
    return fail(
        Code::invalid, "read the configuration with another text of " + quoted(file), file,
        "no such file is read",
        "all files of " + directory + " are, that end in .toml and do not begin with a dot");
}

}  // namespace

std::string Location::str() const {
    return fmt::format("{}:{}:{}", file, line, column);
}

std::string_view to_string(BackendChoice choice) {
    switch (choice) {
        case BackendChoice::iommufd:
            return "iommufd";
        case BackendChoice::group:
            return "group";
        case BackendChoice::automatic:
            break;
    }
    return "auto";
}

std::string_view to_string(DriftPolicy policy) {
    return policy == DriftPolicy::repair ? "repair" : "report";
}

std::string_view to_string(ResetPolicy policy) {
    return policy == ResetPolicy::if_available ? "if-available" : "required";
}

std::string PfSelector::str() const {
    std::vector<std::string> parts;
    if (address) parts.push_back("address " + address->str());
    if (slot) parts.push_back("slot " + *slot);
    if (mac) parts.push_back("mac " + mac->str());
    if (driver) parts.push_back("driver " + *driver);
    if (vendor) parts.push_back(fmt::format("vendor {:04x}", *vendor));
    if (device) parts.push_back(fmt::format("device {:04x}", *device));
    return fmt::format("{}", fmt::join(parts, ", "));
}

bool PoolConfig::contains(std::string_view pf, unsigned index) const {
    return std::ranges::find(pfs, pf) != pfs.end() &&
           (!vfs || std::ranges::binary_search(*vfs, index));
}

bool PoolConfig::tenant_may(std::string_view attribute) const {
    return std::ranges::find(tenant_may_set, attribute) != tenant_may_set.end();
}

const TenantLimit* PoolConfig::tenant_limit(std::string_view attribute) const {
    const auto found = std::ranges::find(tenant_limits, attribute, &TenantLimit::attribute);
    return found == tenant_limits.end() ? nullptr : &*found;
}

bool TenantLimit::allows(std::uint64_t value) const {
    return std::ranges::any_of(ranges, [&](const nic::ValueRange& range) {
        return range.first <= value && value <= range.last;
    });
}

std::string TenantLimit::str() const {
    std::string text;
    for (const auto& range : ranges) text += (text.empty() ? "" : ", ") + range.text;
    return text;
}

const PfConfig* Config::find_pf(std::string_view name) const {
    return find_named(pfs, name);
}

const PoolConfig* Config::find_pool(std::string_view name) const {
    return find_named(pools, name);
}

const PoolConfig* Config::pool_of(std::string_view pf, unsigned index) const {
    const PfConfig* config = find_pf(pf);
    if (config == nullptr || index >= config->vfs) return nullptr;
    const auto found = std::ranges::find_if(
        pools, [&](const PoolConfig& pool) { return pool.contains(pf, index); });
    return found == pools.end() ? nullptr : &*found;
}

Result<Config> parse_config(std::string_view text, const std::string& file) {
    return parse_config(text, file, system_accounts());
}

Result<Config> parse_config(std::string_view text, const std::string& file,
                            const AccountResolver& accounts) {
    Config config;
    Problems problems;
    config.files.push_back(file);
    parse_file(text, file, accounts, config, problems);
    return finish(std::move(config), std::move(problems));
}

Result<Config> load_config(const std::string& directory, const FileTexts& instead) {
    return load_config(directory, system_accounts(), instead);
}

Result<Config> load_config(const std::string& directory, const AccountResolver& accounts,
                           const FileTexts& instead) {
    VFB_TRY(auto files, read_files(directory));
    for (const auto& [file, text] : instead) {
        VFB_TRY(const auto name, name_in(directory, file));
        files.erase(name);
        if (text) files.emplace(name, *text);
    }
    Config config;
    Problems problems;
    for (const auto& [name, text] : files) {
        config.files.push_back(fmt::format("{}/{}", directory, name));
        parse_file(text, config.files.back(), accounts, config, problems);
    }
    // Looked up here, since it may take a while. Where that fails, root alone administers.
    config.administrators = accounts.gid_of(kAdministrators).value_or(std::nullopt);
    return finish(std::move(config), std::move(problems));
}

}  // namespace vfb::broker
