// SPDX-License-Identifier: GPL-2.0-or-later
#include "config_parse.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <span>

#include "config_text.hpp"
#include "config_toml.hpp"

namespace vfb::broker {
namespace {

constexpr std::int64_t kMostVfs = 65535;       // NumVFs of the SR-IOV capability has 16 bits
constexpr std::int64_t kMostIds = 4294967294;  // -1 is "no id"
constexpr std::int64_t kLeastMtu = 68;         // RFC 791
constexpr std::int64_t kMostMtu = 65535;
constexpr std::int64_t kMostVectors = 2048;  // of MSI-X, 11 bits
constexpr int kMostMistakes = 20;            // of TOML, in one file

// ---- [pf.NAME]

std::optional<std::string> kernel_name(TableReader& reader, std::string_view key) {
    auto text = reader.text(key);
    if (!text || is_kernel_name(*text)) return text;
    reader.bad(key, in_quotes(*text) + " has characters that no such name has");
    return std::nullopt;
}

std::optional<std::uint16_t> pci_id(TableReader& reader, std::string_view key) {
    const auto text = reader.text(key);
    if (!text) return std::nullopt;
    const auto id = parse_pci_id(*text);
    if (!id) reader.bad(key, in_quotes(*text) + " is not four hexadecimal digits like 8086");
    return id;
}

std::optional<pci::Address> address(TableReader& reader) {
    const auto text = reader.text("address");
    if (!text) return std::nullopt;
    if (auto parsed = pci::Address::parse(*text)) return *parsed;
    reader.bad("address", in_quotes(*text) + " is not a PCI address like 0000:01:00.0");
    return std::nullopt;
}

std::optional<nic::MacAddress> permanent_mac(TableReader& reader) {
    const auto text = reader.text("mac");
    if (!text) return std::nullopt;
    const auto parsed = nic::MacAddress::parse(*text);
    if (parsed && !parsed->is_zero() && !parsed->is_multicast()) return *parsed;
    reader.bad("mac", in_quotes(*text) + " is not a unicast address like 52:54:00:12:34:56");
    return std::nullopt;
}

std::optional<nic::EswitchMode> eswitch_mode(TableReader& reader) {
    const auto text = reader.text("eswitch_mode");
    if (!text) return std::nullopt;
    const auto mode = nic::eswitch_mode_from_string(*text);
    if (!mode)
        reader.bad("eswitch_mode", in_quotes(*text) + " is not one of legacy, switchdev",
                   did_you_mean(*text, {"legacy", "switchdev"}));
    return mode;
}

bool has_selector(const toml::table& table) {
    constexpr std::array kSelectors{"address", "slot", "mac", "driver", "vendor", "device"};
    return std::ranges::any_of(kSelectors, [&](const char* key) { return table.contains(key); });
}

PfConfig parse_pf(const FileContext& context, const std::string& name, const toml::table& table) {
    TableReader reader(context, table, "[pf." + name + "]");
    PfConfig pf;
    pf.name = name;
    pf.location = context.at(table.source());
    pf.selector = {.address = address(reader),
                   .slot = kernel_name(reader, "slot"),
                   .mac = permanent_mac(reader),
                   .driver = kernel_name(reader, "driver"),
                   .vendor = pci_id(reader, "vendor"),
                   .device = pci_id(reader, "device")};
    pf.vfs = static_cast<unsigned>(reader.number("vfs", 1, kMostVfs).value_or(0));
    pf.link_up = reader.flag("link_up").value_or(true);
    if (const auto mtu = reader.number("mtu", kLeastMtu, kMostMtu))
        pf.mtu = static_cast<std::uint32_t>(*mtu);
    pf.eswitch_mode = eswitch_mode(reader);
    pf.places = reader.places();
    // What is missing most often is only misspelt: saying both would hide the better hint.
    if (!reader.finish() || context.partial) return pf;
    if (!has_selector(table))
        reader.report(table, reader.title() + " does not say which PF it is",
                      "give it an address, slot, mac, driver, vendor or device");
    if (!table.contains("vfs"))
        reader.report(table, reader.title() + " does not say how many VFs to create",
                      "give it a number: vfs = 4");
    return pf;
}

// ---- [pool.NAME]

// A value that is one of a few words; the first is the default.
template <class T, std::size_t N>
T word(TableReader& reader, std::string_view key, const std::array<T, N>& values) {
    const auto text = reader.text(key);
    if (!text) return values.front();
    std::vector<std::string_view> words;
    for (const auto value : values) {
        if (to_string(value) == *text) return value;
        words.push_back(to_string(value));
    }
    reader.bad(key, fmt::format("{} is not one of {}", in_quotes(*text), fmt::join(words, ", ")),
               did_you_mean(*text, words));
    return values.front();
}

std::vector<std::string> pf_names(TableReader& reader) {
    std::vector<std::string> names;
    constexpr const char* kExpected = "the name of a PF, or a list of them";
    reader.each("pf", kExpected, true, [&](const toml::node& node) {
        const auto name = node.value_exact<std::string>();
        if (!name)
            reader.wrong("pf", kExpected, node);
        else if (std::ranges::find(names, *name) != names.end())
            reader.report(node, fmt::format("'pf' in {}: {} is given twice", reader.title(),
                                            in_quotes(*name)));
        else
            names.push_back(*name);
    });
    return names;
}

std::optional<std::vector<unsigned>> indexes(TableReader& reader) {
    const auto text = reader.text("vfs");
    if (!text) return std::nullopt;
    auto parsed = parse_indexes(*text);
    if (parsed) return std::move(*parsed);
    reader.bad("vfs", parsed.error(), "give indexes and ranges: vfs = \"0-3,5\"");
    return std::nullopt;
}

std::optional<std::uint64_t> size(TableReader& reader, std::string_view key) {
    const auto* const node = reader.get(key);
    if (node == nullptr) return std::nullopt;
    if (const auto bytes = node->value_exact<std::int64_t>(); bytes && *bytes >= 0)
        return static_cast<std::uint64_t>(*bytes);
    const auto text = node->value_exact<std::string>();
    const auto bytes = text ? parse_size(*text) : std::nullopt;
    if (!bytes)
        reader.bad(key, text ? in_quotes(*text) + " is not a size" : "this is not a size",
                   "sizes are like 4GiB, 512M, a number of bytes, or \"unlimited\"");
    return bytes;
}

// Users or groups; the member of the resolver says which.
template <class Id>
std::vector<Id> accounts(TableReader& reader, std::string_view key, std::string_view what,
                         Result<std::optional<Id>> (AccountResolver::*find)(const std::string&)
                             const) {
    std::vector<Id> ids;
    const auto expected = fmt::format("a list of {} names and numbers", what);
    reader.each(key, expected, false, [&](const toml::node& node) {
        const auto number = node.value_exact<std::int64_t>();
        if (number && *number >= 0 && *number <= kMostIds) {
            ids.push_back(static_cast<Id>(*number));
            return;
        }
        const auto name = node.value_exact<std::string>();
        if (!name) return reader.wrong(key, expected, node);
        const auto id = (reader.context().accounts.*find)(*name);
        if (id && *id) return ids.push_back(**id);
        const bool digits = !name->empty() && name->find_first_not_of("0123456789") == name->npos;
        reader.report(node,
                      fmt::format("'{}' in {}: {}", key, reader.title(),
                                  id ? fmt::format("there is no {} {}", what, in_quotes(*name))
                                     : id.error().message()),
                      digits ? "a number stands without quotes: " + *name : "");
    });
    std::ranges::sort(ids);
    const auto rest = std::ranges::unique(ids);
    ids.erase(rest.begin(), rest.end());
    return ids;
}

std::vector<std::string_view> attribute_names() {
    std::vector<std::string_view> names;
    for (const auto& info : nic::attribute_infos()) names.push_back(info.name);
    return names;
}

std::vector<std::string> tenant_may_set(TableReader& reader) {
    const auto known = attribute_names();
    std::vector<std::string> names;
    constexpr const char* kExpected = "a list of names of attributes";
    reader.each("tenant_may_set", kExpected, false, [&](const toml::node& node) {
        const auto name = node.value_exact<std::string>();
        if (!name) return reader.wrong("tenant_may_set", kExpected, node);
        if (std::ranges::find(known, *name) != known.end()) return names.push_back(*name);
        reader.report(node,
                      fmt::format("'tenant_may_set' in {}: there is no attribute {}",
                                  reader.title(), in_quotes(*name)),
                      did_you_mean(*name, known));
    });
    return names;
}

// The value as nic reads it; nullopt when its TOML type is not the attribute's.
std::optional<std::string> attribute_text(const toml::node& node, nic::AttributeKind kind) {
    switch (kind) {
        case nic::AttributeKind::text:
            return node.value_exact<std::string>();
        case nic::AttributeKind::number:
            if (const auto number = node.value_exact<std::int64_t>())
                return std::to_string(*number);
            break;
        case nic::AttributeKind::flag:
            if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
            break;
    }
    return std::nullopt;
}

bool is_of_one_vf(std::string_view attribute) {
    return attribute == "mac" || attribute == "node_guid" || attribute == "port_guid";
}

nic::VfAttributes parse_attributes(const FileContext& context, const std::string& pool,
                                   const toml::table& table, Places& places) {
    TableReader reader(context, table, "[pool." + pool + ".attributes]");
    nic::VfAttributes attributes;
    bool good = true;
    for (const auto& info : nic::attribute_infos()) {
        if (is_of_one_vf(info.name)) {
            if (!table.contains(info.name)) continue;
            (void)reader.get(info.name);
            reader.bad(info.name, "a pool cannot give all its VFs one address",
                       "leave it out: each VF has a stable address of its own, and a lease may ask "
                       "for another");
            continue;
        }
        const auto* const node = reader.get(info.name);
        if (node == nullptr) continue;
        const auto text = attribute_text(*node, info.kind);
        if (!text)
            reader.wrong(info.name, info.expected, *node);
        else if (!nic::set_from_text(attributes, info.name, *text))
            reader.bad(info.name, fmt::format("{} is not {}", in_quotes(*text), info.expected));
        good = good && nic::value_text(attributes, info.name);
    }
    (void)reader.finish();
    for (const auto& [key, place] : reader.places()) places.emplace("attributes." + key, place);
    // Values that only together are wrong.
    if (const auto valid = nic::validate(attributes); good && !valid)
        reader.report(table, fmt::format("{}: {}", reader.title(), valid.error().message()));
    return attributes;
}

// ---- [pool.NAME.tenant_limits]

// A range is text, a single value what the attribute itself is.
std::optional<nic::ValueRange> limit_range(TableReader& reader, const nic::AttributeInfo& info,
                                           const toml::node& node) {
    auto text = node.value_exact<std::string>();
    if (!text) text = attribute_text(node, info.kind);
    if (!text) {
        reader.wrong(info.name, std::string(info.expected) + ", or a range of these", node);
        return std::nullopt;
    }
    auto range = nic::range_from_text(info.name, *text);
    if (range) return std::move(*range);
    reader.report(node,
                  fmt::format("'{}' in {}: {}", info.name, reader.title(), range.error().reason));
    return std::nullopt;
}

std::optional<TenantLimit> tenant_limit(TableReader& reader, const nic::AttributeInfo& info,
                                        const toml::node& whole) {
    TenantLimit limit{.attribute = std::string(info.name), .ranges = {}};
    bool good = true;
    reader.each(info.name, "a value, a range, or a list of them", true,
                [&](const toml::node& node) {
                    if (auto range = limit_range(reader, info, node))
                        limit.ranges.push_back(std::move(*range));
                    else
                        good = false;
                });
    if (!good || whole.is_table()) return std::nullopt;
    if (limit.ranges.empty()) {
        reader.bad(info.name, "the list is empty",
                   fmt::format("to let nobody set it, take '{}' out of tenant_may_set", info.name));
        return std::nullopt;
    }
    std::ranges::sort(limit.ranges, {}, &nic::ValueRange::first);
    const auto overlap = std::ranges::adjacent_find(
        limit.ranges, [](const auto& one, const auto& next) { return next.first <= one.last; });
    if (overlap == limit.ranges.end()) return limit;
    reader.bad(
        info.name,
        fmt::format("{} and {} overlap", in_quotes(overlap->text), in_quotes((overlap + 1)->text)),
        "write them as one");
    return std::nullopt;
}

std::vector<TenantLimit> parse_tenant_limits(const FileContext& context, const PoolConfig& pool,
                                             const toml::table& table) {
    TableReader reader(context, table, "[pool." + pool.name + ".tenant_limits]");
    std::vector<TenantLimit> limits;
    for (const auto& info : nic::attribute_infos()) {
        const auto* const node = reader.get(info.name);
        if (node == nullptr) continue;
        if (!pool.tenant_may(info.name))
            reader.bad(info.name, "the pool lets nobody set it, so there is nothing to limit",
                       fmt::format("add '{}' to tenant_may_set, or take the limit out", info.name));
        else if (auto limit = tenant_limit(reader, info, *node))
            limits.push_back(std::move(*limit));
    }
    (void)reader.finish();
    return limits;
}

PoolConfig parse_pool(const FileContext& context, const std::string& name,
                      const toml::table& table) {
    TableReader reader(context, table, "[pool." + name + "]");
    PoolConfig pool;
    pool.name = name;
    pool.location = context.at(table.source());
    pool.pfs = pf_names(reader);
    pool.vfs = indexes(reader);
    pool.backend =
        word(reader, "backend",
             std::array{BackendChoice::automatic, BackendChoice::iommufd, BackendChoice::group});
    pool.driver = kernel_name(reader, "driver");
    if (pool.driver == "auto") pool.driver.reset();
    pool.allow_users = accounts(reader, "allow_users", "user", &AccountResolver::uid_of);
    pool.allow_groups = accounts(reader, "allow_groups", "group", &AccountResolver::gid_of);
    pool.memlock_max = size(reader, "memlock_max");
    if (table.contains("tenant_may_set")) pool.tenant_may_set = tenant_may_set(reader);
    pool.max_functions_per_user =
        static_cast<unsigned>(reader.number("max_functions_per_user", 0, kMostVfs).value_or(0));
    pool.reset =
        word(reader, "reset", std::array{ResetPolicy::required, ResetPolicy::if_available});
    pool.drift = word(reader, "drift", std::array{DriftPolicy::report, DriftPolicy::repair});
    if (const auto vectors = reader.number("msix_vectors", 1, kMostVectors))
        pool.msix_vectors = static_cast<unsigned>(*vectors);
    if (const auto* const limits = reader.table("tenant_limits"))
        pool.tenant_limits = parse_tenant_limits(context, pool, *limits);
    if (const auto* const attributes = reader.table("attributes"))
        pool.attributes = parse_attributes(context, name, *attributes, pool.places);
    // Known even when it is not given, for the sake of "did you mean".
    (void)reader.get("tenant_may_set");
    pool.places.merge(reader.places());
    if (!reader.finish() || context.partial) return pool;
    if (!table.contains("pf"))
        reader.report(table, reader.title() + " does not say which PF its functions are of",
                      "give it a PF: pf = \"NAME\", with a table [pf.NAME]");
    else if (const auto* const list = table.get_as<toml::array>("pf"); list && list->empty())
        reader.report(*list, fmt::format("'pf' in {}: the list is empty", reader.title()));
    return pool;
}

// ---- the file

// Blanks the lines of the table around line `number`, which counts from 1: from the last that
// begins with a bracket to the next that does. false: they were blank.
bool take_out_table(std::string& text, std::size_t number) {
    std::size_t begin = 0;  // of the table
    std::size_t line = 1;
    std::size_t at = 0;  // of that line
    const auto is_header = [&] { return at < text.size() && text[at] == '['; };
    while (at < text.size()) {
        if (is_header() && line > number) break;
        if (is_header()) begin = at;
        at = std::min(text.find('\n', at), text.size() - 1) + 1;
        ++line;
    }
    const auto table = std::span(text).subspan(begin, at - begin);
    const auto is_blank = [](char c) { return c == ' ' || c == '\n'; };
    if (std::ranges::all_of(table, is_blank)) return false;
    std::ranges::replace_if(table, std::not_fn(is_blank), ' ');
    return true;
}

// The tables below [pf] or [pool], each with its name.
void each_table(const FileContext& context, TableReader& root, std::string_view kind,
                const std::function<void(const std::string&, const toml::table&)>& found) {
    const auto* const tables = root.table(kind);
    if (tables == nullptr) return;
    for (const auto& [key, node] : *tables) {
        const std::string name(key.str());
        const auto* const table = node.as_table();
        if (!is_name(name))
            context.report(key.source(),
                           fmt::format("{} is no name for a {}", in_quotes(name), kind),
                           "names are made of a-z, 0-9, _ and -, up to 64");
        else if (table == nullptr)
            context.report(
                key.source(),
                fmt::format("'{}' in [{}] must be a table, not {}", name, kind, kind_of(node)),
                fmt::format("each {0} has a table of its own: [{0}.NAME]", kind));
        else
            found(name, *table);
    }
}

// TOML ends at its first mistake, and an operator wants to know of all: the table that has it is
// taken out, with the lines of the others where they were, for as long as there are mistakes.
toml::table parse_toml(std::string text, FileContext& context) {
    toml::source_position told{};
    for (int mistakes = 0;; ++mistakes) {
        auto parsed = toml::parse(text);
        if (parsed) return std::move(parsed).table();
        const auto& error = parsed.error();
        // Where nothing is left, a table before it did not end: that was told.
        if (!take_out_table(text, error.source().begin.line)) {
            if (!context.partial) context.report(error.source(), std::string(error.description()));
            context.partial = true;
            return {};
        }
        // A string without an end is a mistake at the end of the file, whatever is taken out
        // before.
        const auto place = error.source().begin;
        if (place != told) context.report(error.source(), std::string(error.description()));
        told = place;
        context.partial = true;
        if (mistakes == kMostMistakes) return {};
    }
}

}  // namespace

std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates) {
    const auto near = nearest(text, candidates);
    return near.empty() ? std::string() : fmt::format("did you mean '{}'?", near);
}

void parse_file(std::string_view text, const std::string& file, const AccountResolver& accounts,
                Config& config, std::vector<Problem>& problems) {
    FileContext context{.file = file, .accounts = accounts, .problems = problems};
    const auto table = parse_toml(std::string(text), context);
    TableReader root(context, table, "the file");
    each_table(context, root, "pf", [&](const std::string& name, const toml::table& pf) {
        config.pfs.push_back(parse_pf(context, name, pf));
    });
    each_table(context, root, "pool", [&](const std::string& name, const toml::table& pool) {
        config.pools.push_back(parse_pool(context, name, pool));
    });
    (void)root.finish();
}

}  // namespace vfb::broker
