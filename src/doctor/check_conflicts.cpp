// SPDX-License-Identifier: GPL-2.0-or-later
//
// Other programs that take the same functions.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <ranges>

#include "checks.hpp"

namespace vfb::doctor {
namespace {

// Whether NetworkManager keeps its hands off an interface; nullopt: it has not said.
std::optional<bool> is_managed(const SysRoot& root, int ifindex) {
    if (const auto udev = root.folder("/run/udev/data"))
        if (udev->read(fmt::format("n{}", ifindex)).value_or("").contains("E:NM_UNMANAGED=1"))
            return false;
    const auto devices = root.folder("/run/NetworkManager/devices");
    if (!devices) return std::nullopt;
    const auto state = devices->read(std::to_string(ifindex)).value_or("");
    if (state.contains("managed=false")) return false;
    if (state.contains("managed=true")) return true;
    return std::nullopt;
}

// The value of an attribute in XML, `bus='0x01'`, within a tag.
std::string_view attribute(std::string_view tag, std::string_view name) {
    for (const char quote : {'\'', '"'}) {
        const auto key = fmt::format(" {}={}", name, quote);
        const auto at = tag.find(key);
        if (at == std::string_view::npos) continue;
        const auto begin = at + key.size();
        return tag.substr(begin, tag.find(quote, begin) - begin);
    }
    return {};
}

// The first tag of that name at or after `at`, without its brackets.
std::string_view tag_at(std::string_view xml, std::string_view name) {
    const auto begin = xml.find(fmt::format("<{} ", name));
    if (begin == std::string_view::npos) return {};
    return xml.substr(begin, xml.find('>', begin) - begin);
}

std::optional<pci::Address> source_address(std::string_view element) {
    const auto source = element.find("<source");
    if (source == std::string_view::npos) return std::nullopt;
    const auto tag = tag_at(element.substr(source), "address");
    const auto number = [&](std::string_view name) {
        return parse_number(attribute(tag, name)).value_or(0);
    };
    if (attribute(tag, "bus").empty()) return std::nullopt;
    return pci::Address{.domain = static_cast<std::uint32_t>(number("domain")),
                        .bus = static_cast<std::uint8_t>(number("bus")),
                        .device = static_cast<std::uint8_t>(number("slot")),
                        .function = static_cast<std::uint8_t>(number("function"))};
}

const pci::Function* find_ours(const Host& host, const pci::Address& address) {
    const auto found = std::ranges::find(host.functions, address, &pci::Function::address);
    return found != host.functions.end() && is_ours(host, *found) ? &*found : nullptr;
}

// Files of a folder whose names end so, with what is in them.
template <class Visit>
void for_each_file(const SysRoot& root, const std::string& folder, std::string_view ending,
                   Visit visit) {
    const auto dir = root.folder(folder);
    if (!dir) return;
    const auto names = dir->list();
    if (!names) return;
    for (const auto& name : *names)
        if (name.ends_with(ending))
            if (const auto text = dir->read(name)) visit(name, dir->path(name), *text);
}

void report_ids(const Host& host, const std::string& ids, const std::string& where,
                Report& report) {
    std::vector<std::string> claimed;
    for (const auto& function : host.functions)
        if (is_ours(host, function) && ids_claim(ids, function))
            claimed.push_back(function.address.str());
    constexpr std::size_t kEnough = 8;
    const bool more = claimed.size() > kEnough;
    if (more) claimed.resize(kEnough);
    report.add(claimed.empty() ? Finding::Level::note : Finding::Level::warn, where,
               fmt::format("vfio-pci takes every function with the ids {} at boot{}{}{}", ids,
                           claimed.empty() ? "" : ", among them ", fmt::join(claimed, ", "),
                           more ? " and more" : ""),
               "take that out: vfbroker binds by driver_override, one function at a time");
}

// Words of a line; quotes are not known to either place.
std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    for (const auto part : line | std::views::split(' '))
        if (std::string_view word(part); !word.empty()) words.push_back(word);
    return words;
}

void report_modprobe(const Host& host, const std::string& path, const std::string& text,
                     Report& report) {
    constexpr std::string_view kIds = "ids=";
    for (const auto part : text | std::views::split('\n')) {
        const auto words = words_of(std::string_view(part));
        if (words.size() < 3 || words[0] != "options" ||
            (words[1] != "vfio-pci" && words[1] != "vfio_pci"))
            continue;
        for (const auto word : words)
            if (word.starts_with(kIds))
                report_ids(host, std::string(word.substr(kIds.size())), path, report);
    }
}

}  // namespace

bool ids_claim(const std::string& ids, const pci::Function& function) {
    constexpr std::int64_t kAny = 0xffffffff;
    for (const auto part : ids | std::views::split(',')) {
        // vendor:device[:subvendor[:subdevice[:class[:class_mask]]]]
        std::vector<std::optional<std::int64_t>> fields;
        for (const auto field : part | std::views::split(':'))
            fields.push_back(parse_number("0x" + std::string(std::string_view(field))));
        const auto field = [&](std::size_t i) {
            return i < fields.size() ? fields[i].value_or(kAny) : kAny;
        };
        const auto matches = [&](std::size_t i, std::uint16_t value) {
            return field(i) == kAny || field(i) == value;
        };
        const bool complete = fields.size() >= 2 && fields[0] && fields[1];
        const auto mask = fields.size() > 5 ? field(5) : 0;
        if (complete && matches(0, function.vendor) && matches(1, function.device) &&
            matches(2, function.subsystem_vendor) && matches(3, function.subsystem_device) &&
            ((field(4) ^ function.class_code) & mask) == 0)
            return true;
    }
    return false;
}

std::vector<pci::Address> managed_host_devices(const std::string& xml) {
    std::vector<pci::Address> found;
    for (const std::string_view name : {"hostdev", "interface"}) {
        std::string_view rest = xml;
        const auto open = fmt::format("<{} ", name);
        const auto close = fmt::format("</{}>", name);
        for (auto at = rest.find(open); at != std::string_view::npos; at = rest.find(open)) {
            rest.remove_prefix(at);
            const auto end = rest.find(close);
            const auto element = rest.substr(0, end);
            const auto tag = tag_at(element, name);
            rest.remove_prefix(std::min(element.size() + 1, rest.size()));
            const auto type = attribute(tag, "type");
            if (attribute(tag, "managed") != "yes" || (type != "pci" && type != "hostdev"))
                continue;
            if (const auto address = source_address(element)) found.push_back(*address);
        }
    }
    return found;
}

void check_network_manager(const Host& host, Report& report) {
    if (find_process(host, "NetworkManager") == nullptr)
        return report.pass("NetworkManager does not run");
    std::vector<std::string> managed;
    std::vector<std::string> unknown;
    for (const auto& function : host.functions) {
        if (!function.is_vf() || !is_ours(host, function)) continue;
        for (const auto& netdev : function.netdevs) {
            const auto answer = is_managed(host.root, netdev.ifindex);
            if (answer != false) (answer ? managed : unknown).push_back(netdev.name);
        }
    }
    constexpr auto kHint =
        "a file in NetworkManager's conf.d keeps it from them: [keyfile] "
        "unmanaged-devices=interface-name:NAME";
    if (!managed.empty())
        report.warn(
            fmt::format("NetworkManager sets up the idle VFs {}: they ask for addresses and "
                        "count as used",
                        fmt::join(managed, ", ")),
            kHint);
    if (!unknown.empty())
        report.note(
            fmt::format("NetworkManager runs and may set up the VFs {}", fmt::join(unknown, ", ")),
            kHint);
    if (report.empty()) report.pass("NetworkManager has no VFs to set up");
}

namespace {

// A network that hands out VFs: `<forward mode='hostdev' managed='yes'><pf dev='eth0'/>`.
void report_network(const Host& host, const std::string& name, const std::string& xml,
                    Report& report) {
    if (attribute(tag_at(xml, "forward"), "mode") != "hostdev") return;
    const auto device = attribute(tag_at(xml, "pf"), "dev");
    for (const auto& function : host.functions) {
        const bool same = std::ranges::any_of(
            function.netdevs, [&](const pci::Netdev& netdev) { return netdev.name == device; });
        if (same && is_ours(host, function))
            report.add(Finding::Level::warn, function.address.str(),
                       fmt::format("libvirt's network {} gives out the VFs of {}", name, device),
                       fmt::format("virsh net-destroy {0}, and net-undefine {0}", name));
    }
}

}  // namespace

void check_libvirt(const Host& host, Report& report) {
    for_each_file(host.root, "/etc/libvirt/qemu/networks", ".xml",
                  [&](const std::string& name, const std::string&, const std::string& xml) {
                      report_network(host, name.substr(0, name.size() - 4), xml, report);
                  });
    for_each_file(host.root, "/etc/libvirt/qemu", ".xml",
                  [&](const std::string& name, const std::string&, const std::string& xml) {
                      for (const auto& address : managed_host_devices(xml)) {
                          if (find_ours(host, address) == nullptr) continue;
                          report.add(Finding::Level::warn, address.str(),
                                     fmt::format("libvirt's domain {} takes it for itself "
                                                 "(managed='yes')",
                                                 name.substr(0, name.size() - 4)),
                                     "set managed='no' there, and have vfbroker hand it out");
                      }
                  });
    if (report.empty()) report.pass("no domain or network of libvirt takes functions of vfbroker");
}

void check_driverctl(const Host& host, Report& report) {
    if (const auto dir = host.root.folder("/etc/driverctl.d"))
        if (const auto names = dir->list())
            for (const auto& name : *names) {
                // `0000:01:10.0`, or `pci-0000:01:10.0` of newer versions
                const auto address =
                    pci::Address::parse(name.starts_with("pci-") ? name.substr(4) : name);
                if (!address || find_ours(host, *address) == nullptr) continue;
                report.add(Finding::Level::warn, address->str(),
                           fmt::format("driverctl binds it to {} whenever it appears",
                                       dir->read(name).value_or("another driver")),
                           fmt::format("driverctl unset-override {}", *address));
            }
    if (report.empty()) report.pass("driverctl binds none of vfbroker's functions");
}

void check_vfio_pci_ids(const Host& host, Report& report) {
    constexpr std::string_view kParameter = "vfio-pci.ids=";
    constexpr std::string_view kOther = "vfio_pci.ids=";
    const auto line = host.root.proc().read("cmdline").value_or("");
    for (const auto word : words_of(line))
        if (word.starts_with(kParameter) || word.starts_with(kOther))
            report_ids(host, std::string(word.substr(kParameter.size())), "kernel command line",
                       report);
    for (const char* folder : {"/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d"})
        for_each_file(host.root, folder, ".conf",
                      [&](const std::string&, const std::string& path, const std::string& text) {
                          report_modprobe(host, path, text, report);
                      });
    if (report.empty()) report.pass("vfio-pci takes no functions by their ids");
}

void check_sriov_operator(const Host& host, Report& report) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kPrograms{{
        {"sriov-network-c", "the SR-IOV network operator's config daemon"},
        {"sriovdp", "the SR-IOV network device plugin"},
    }};
    for (const auto& [name, what] : kPrograms)
        if (const Process* process = find_process(host, name))
            report.add(Finding::Level::warn, fmt::format("pid {}", process->pid),
                       fmt::format("{} runs here, and gives out VFs of its own accord", what),
                       "leave it other physical functions than those of vfbroker's configuration");
    if (report.empty()) report.pass("no SR-IOV operator or device plugin of Kubernetes runs here");
}

}  // namespace vfb::doctor
