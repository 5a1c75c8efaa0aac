// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the kernel complained of, and what to do about it. Texts are those of drivers/pci/iov.c,
// setup-res.c and drivers/iommu, of Linux 5.10 to 6.14.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "doctor/doctor.hpp"

namespace vfb::doctor {
namespace {

using Level = Finding::Level;

constexpr std::string_view kMoreMemory =
    "turn on \"above 4G decoding\" (also \"resizable BAR\", \"MMIO high size\") in the firmware "
    "settings, or boot with pci=realloc";
constexpr std::string_view kMoreBuses =
    "boot with pci=assign-busses, or lower the number of VFs; a port with ARI needs fewer buses";
constexpr std::string_view kNoIdentityMap =
    "look for a firmware setting or update that ends this reserved memory (RMRR), or use another "
    "slot";

struct Complaint {
    std::string_view part;  // of the message
    std::string_view also;  // another part that it must have; may be empty
    Level level;
    std::string_view text;
    std::string_view hint;
};

constexpr std::array<Complaint, 6> kComplaints{{
    {"not enough MMIO resources for SR-IOV", "", Level::fail,
     "there was no room in memory for its VFs", kMoreMemory},
    {"SR-IOV: bus number out of range", "", Level::fail,
     "there were too few bus numbers for its VFs", kMoreBuses},
    {"can't enable", "out of range of [bus", Level::fail,
     "there were too few bus numbers for its VFs", kMoreBuses},
    {"ineligible for IOMMU domain attach due to platform RMRR", "", Level::fail,
     "the firmware keeps memory mapped for it (RMRR), so that it can be given to nobody",
     kNoIdentityMap},
    {"requested this device have a 1:1 IOMMU mapping", "", Level::fail,
     "the firmware keeps memory mapped for it, so that it can be given to nobody", kNoIdentityMap},
    {"blocked for more than", "task vfbrokerd", Level::fail,
     "a call of vfbrokerd into the kernel has not come back for minutes",
     "vfbroker list shows what is stuck; what the kernel waits for is in its log"},
}};

// `igb 0000:01:00.0: text`: the function, and the text; an empty subject where there is none.
struct Message {
    std::string subject;
    std::string_view text;
};

Message take_apart(std::string_view message) {
    const auto colon = message.find(": ");
    if (colon == std::string_view::npos) return {.subject = {}, .text = message};
    const auto prefix = message.substr(0, colon);
    const auto address = pci::Address::parse(prefix.substr(prefix.rfind(' ') + 1));
    if (!address) return {.subject = {}, .text = message};
    return {.subject = address->str(), .text = message.substr(colon + 2)};
}

// `BAR 7: no space for [mem …]`, or from Linux 6.9 on `BAR 7 [mem …]: can't assign; no space`; from
// 6.14 on those of VFs are called `VF BAR 0`. Bridge windows and ROMs can do without.
struct Window {
    unsigned index = 0;
    bool of_vfs = false;
    auto operator<=>(const Window&) const = default;
};

std::optional<Window> window_of(std::string_view text) {
    Window window;
    window.of_vfs = text.starts_with("VF ");
    if (window.of_vfs) text.remove_prefix(3);
    if (!text.starts_with("BAR ")) return std::nullopt;
    text.remove_prefix(4);
    const auto number = parse_number(text.substr(0, text.find_first_not_of("0123456789")));
    if (!number || text.contains("[io ")) return std::nullopt;
    window.index = static_cast<unsigned>(*number);
    constexpr unsigned kRom = 6;
    constexpr unsigned kFirstOfVfs = 7;
    if (window.of_vfs || window.index < kRom) return window;
    if (window.index < kFirstOfVfs || window.index > kFirstOfVfs + 5) return std::nullopt;
    return Window{.index = window.index - kFirstOfVfs, .of_vfs = true};
}

using Missing = std::set<std::pair<std::string, Window>>;

// What was assigned in the end is no complaint.
void follow_window(const Message& message, Missing& missing) {
    const auto window = window_of(message.text);
    if (!window) return;
    const bool failed = message.text.contains("no space") ||
                        message.text.contains("failed to assign") ||
                        message.text.contains("can't assign");
    if (failed)
        missing.emplace(message.subject, *window);
    else if (message.text.contains("assigned"))
        missing.erase({message.subject, *window});
}

Finding finding_of(const std::string& subject, const Window& window) {
    return {.level = window.of_vfs ? Level::fail : Level::warn,
            .check = "kernel-messages",
            .subject = subject,
            .text = fmt::format("there was no room in memory for its {}BAR {}",
                                window.of_vfs ? "VFs' " : "", window.index),
            .hint = std::string(kMoreMemory)};
}

}  // namespace

std::vector<Finding> kernel_complaints(const std::vector<std::string>& messages) {
    std::vector<Finding> found;
    Missing missing;
    for (const auto& line : messages) {
        const Message message = take_apart(line);
        if (!message.subject.empty()) follow_window(message, missing);
        for (const auto& complaint : kComplaints) {
            if (!message.text.contains(complaint.part) || !message.text.contains(complaint.also))
                continue;
            Finding finding{.level = complaint.level,
                            .check = "kernel-messages",
                            .subject = message.subject.empty() ? "host" : message.subject,
                            .text = std::string(complaint.text),
                            .hint = std::string(complaint.hint)};
            // Said at every attempt: once is enough.
            if (std::ranges::find(found, finding) == found.end())
                found.push_back(std::move(finding));
        }
    }
    for (const auto& [subject, window] : missing) found.push_back(finding_of(subject, window));
    return found;
}

}  // namespace vfb::doctor
