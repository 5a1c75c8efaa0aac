// SPDX-License-Identifier: GPL-2.0-or-later
//
// The configuration as a whole: files merged, tables compared with each other.
#include "broker/config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "config_files.hpp"
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

// Whatever the machine has. A slot may have several functions, and functions of one card one MAC
// address.
bool mean_the_same(const PfSelector& a, const PfSelector& b) {
    if (a.empty() || b.empty()) return false;
    const auto both = [](const auto& one, const auto& other) { return one && one == other; };
    const auto differ = [](const auto& one, const auto& other) {
        return one && other && one != other;
    };
    if (both(a.address, b.address)) return true;
    const bool apart = differ(a.address, b.address) || differ(a.slot, b.slot);
    return a == b || (both(a.mac, b.mac) && !apart);
}

void check_pfs(const Config& config, Problems& problems) {
    for (auto one = config.pfs.begin(); one != config.pfs.end(); ++one)
        for (auto other = one + 1; other != config.pfs.end(); ++other)
            if (mean_the_same(one->selector, other->selector))
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
                             in_quotes(name)),
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

// The first is the error, the others its causes.
Error to_error(Problems problems) {
    if (problems.size() > kMostProblems) problems.resize(kMostProblems);
    auto error = to_error(problems.back());
    for (problems.pop_back(); !problems.empty(); problems.pop_back()) {
        auto before = to_error(problems.back());
        before.cause = std::make_shared<const Error>(std::move(error));
        error = std::move(before);
    }
    return error;
}

ConfigCheck finish(ConfigCheck check) {
    auto& [config, problems] = check;
    merge(config.pfs, "pf", problems);
    merge(config.pools, "pool", problems);
    // What is wrong in one table would make others look wrong: "all VFs" of a pool whose indexes
    // could not be read, a PF missing for a misplaced comma.
    if (problems.empty()) {
        check_pfs(config, problems);
        for (const auto& pool : config.pools) check_pool(config, pool, problems);
        check_overlaps(config, problems);
    }
    std::ranges::stable_sort(problems, {}, [](const Problem& problem) {
        return std::tuple(problem.where.file, problem.where.line, problem.where.column);
    });
    return check;
}

Result<Config> without_problems(ConfigCheck check) {
    if (!check.problems.empty()) return std::unexpected(to_error(std::move(check.problems)));
    return std::move(check.config);
}

ConfigCheck check_texts(ConfigTexts texts, const AccountResolver& accounts, Problems problems) {
    ConfigCheck check{.config = {}, .problems = std::move(problems)};
    for (const auto& [file, text] : texts)
        parse_file(text, file, accounts, check.config, check.problems);
    check.config.files = std::move(texts);
    // Looked up here, since it may take a while. Where that fails, root alone administers.
    check.config.administrators = accounts.gid_of(kAdministrators).value_or(std::nullopt);
    return finish(std::move(check));
}

const Location& place_in(const Places& places, std::string_view key, const Location& table) {
    const auto found = places.find(key);
    return found == places.end() ? table : found->second;
}

// The name of a file of the configuration.
Result<std::string> name_in(const std::string& directory, const std::string& file) {
    const std::string folder = directory + "/";
    const std::string name = file.starts_with(folder) ? file.substr(folder.size()) : file;
    if (is_config_file(name) && name.find('/') == name.npos) return name;
    return fail(
        Code::invalid, "read the configuration with another text of " + in_quotes(file), file,
        "no such file is read",
        "all files of " + directory + " are, that end in .toml and do not begin with a dot");
}

}  // namespace

std::string Location::str() const {
    if (line == 0) return file;
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

const Location& PfConfig::place_of(std::string_view key) const {
    return place_in(places, key, location);
}

const Location& PoolConfig::place_of(std::string_view key) const {
    return place_in(places, key, location);
}

Result<Config> parse_config(std::string_view text, const std::string& file) {
    return parse_config(text, file, system_accounts());
}

Result<Config> parse_config(std::string_view text, const std::string& file,
                            const AccountResolver& accounts) {
    return parse_config(ConfigTexts{{file, std::string(text)}}, accounts);
}

Result<Config> parse_config(const ConfigTexts& texts) {
    return parse_config(texts, system_accounts());
}

Result<Config> parse_config(const ConfigTexts& texts, const AccountResolver& accounts) {
    return without_problems(check_texts(texts, accounts, {}));
}

ConfigCheck check_config(const std::string& directory) {
    return check_config(directory, system_accounts());
}

ConfigCheck check_config(const std::string& directory, const AccountResolver& accounts) {
    Problems problems;
    auto texts = read_config_files(directory, {}, problems);
    return check_texts(std::move(texts), accounts, std::move(problems));
}

Result<Config> load_config(const std::string& directory, const FileTexts& instead) {
    return load_config(directory, system_accounts(), instead);
}

Result<Config> load_config(const std::string& directory, const AccountResolver& accounts,
                           const FileTexts& instead) {
    FileTexts named;
    for (const auto& [file, text] : instead) {
        VFB_TRY(const auto name, name_in(directory, file));
        named[name] = text;
    }
    Problems problems;
    auto texts = read_config_files(directory, named, problems);
    return without_problems(check_texts(std::move(texts), accounts, std::move(problems)));
}

}  // namespace vfb::broker
