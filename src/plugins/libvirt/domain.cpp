// SPDX-License-Identifier: GPL-2.0-or-later
#include "domain.hpp"

#include <fmt/format.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/sys_root.hpp"

namespace vfb::libvirt {
namespace {

struct FreeDocument {
    void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
};
using Document = std::unique_ptr<xmlDoc, FreeDocument>;

std::unexpected<Error> invalid(std::string reason, std::string hint = {}) {
    return fail(Code::invalid, "read the domain's XML", {}, std::move(reason), std::move(hint));
}

std::string_view view(const xmlChar* text) {
    // NOLINTNEXTLINE(*-reinterpret-cast): xmlChar is UTF-8 in unsigned bytes
    return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

std::string take(xmlChar* text) {
    std::string copy(view(text));
    xmlFree(text);
    return copy;
}

std::string_view namespace_of(const xmlNode* node) {
    return node->ns == nullptr ? std::string_view() : view(node->ns->href);
}

// Elements below `parent`; libvirt's own are in no namespace.
std::vector<const xmlNode*> children(const xmlNode* parent, std::string_view name,
                                     std::string_view name_space = {}) {
    std::vector<const xmlNode*> found;
    for (const xmlNode* node = parent->children; node != nullptr; node = node->next)
        if (node->type == XML_ELEMENT_NODE && view(node->name) == name &&
            namespace_of(node) == name_space)
            found.push_back(node);
    return found;
}

const xmlNode* child(const xmlNode* parent, std::string_view name) {
    const auto found = parent == nullptr ? std::vector<const xmlNode*>() : children(parent, name);
    return found.empty() ? nullptr : found.front();
}

std::string content(const xmlNode* node) {
    return node == nullptr ? "" : take(xmlNodeGetContent(node));
}

std::optional<std::string> attribute(const xmlNode* node, const std::string& name) {
    // NOLINTNEXTLINE(*-reinterpret-cast): as in view()
    xmlChar* value = xmlGetNoNsProp(node, reinterpret_cast<const xmlChar*>(name.c_str()));
    if (value == nullptr) return std::nullopt;
    return take(value);
}

bool has(const xmlNode* node, const std::string& name, std::string_view value) {
    return attribute(node, name) == std::string(value);
}

// <address domain='0x0000' bus='0x01' slot='0x10' function='0x0'/>
Result<std::string> address_of(const xmlNode* address) {
    if (address == nullptr) return invalid("a host device has no <address> in its <source>");
    struct Part {
        const char* name;
        std::int64_t most;
    };
    constexpr std::array<Part, 4> kParts{
        {{"domain", UINT32_MAX}, {"bus", 255}, {"slot", 31}, {"function", 7}}};
    std::array<std::int64_t, kParts.size()> values{};
    for (std::size_t i = 0; i < kParts.size(); ++i) {
        const auto text = attribute(address, kParts.at(i).name);
        if (!text && i == 0) continue;  // libvirt's default is 0
        const auto value = parse_number(text.value_or(""));
        if (!value || *value < 0 || *value > kParts.at(i).most)
            return invalid(fmt::format("a host device's address has {} \"{}\"", kParts.at(i).name,
                                       text.value_or("")));
        values.at(i) = *value;
    }
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", values[0], values[1], values[2], values[3]);
}

// Only those of PCI devices.
Result<> read_devices(const xmlNode* devices, Domain& domain) {
    for (const char* const name : {"hostdev", "interface"}) {
        const bool interface = std::string_view(name) == "interface";
        for (const xmlNode* device : children(devices, name)) {
            if (!has(device, "type", interface ? "hostdev" : "pci")) continue;
            if (!interface && !has(device, "mode", "subsystem")) continue;
            const xmlNode* source = child(device, "source");
            const xmlNode* where = child(source, "address");
            HostFunction function;
            function.managed = has(device, "managed", "yes");
            function.interface = interface;
            VFB_TRY(function.address, address_of(where));
            domain.functions.push_back(std::move(function));
        }
    }
    return {};
}

// --- our element

using Attributes = client::Attributes;
using Text = std::optional<std::string> Attributes::*;
using Number = std::optional<std::int64_t> Attributes::*;
using Switch = std::optional<bool> Attributes::*;

template <class Member>
struct Named {
    std::string_view name;
    Member member;
};

constexpr std::array<Named<Text>, 5> kTexts{{{"mac", &Attributes::mac},
                                             {"vlan-protocol", &Attributes::vlan_protocol},
                                             {"link-state", &Attributes::link_state},
                                             {"node-guid", &Attributes::node_guid},
                                             {"port-guid", &Attributes::port_guid}}};
constexpr std::array<Named<Number>, 4> kNumbers{{{"vlan", &Attributes::vlan},
                                                 {"qos", &Attributes::qos},
                                                 {"min-tx-rate", &Attributes::min_tx_rate},
                                                 {"max-tx-rate", &Attributes::max_tx_rate}}};
constexpr std::array<Named<Switch>, 3> kSwitches{{{"spoof-check", &Attributes::spoof_check},
                                                  {"trust", &Attributes::trust},
                                                  {"rss-query", &Attributes::rss_query}}};

std::unexpected<Error> wrong(const std::string& subject, std::string_view name,
                             const std::string& why) {
    return invalid(fmt::format("in <metadata>, {} of {} {}", name, subject, why),
                   "see vfbroker-libvirt-hook(8), then: virsh edit");
}

// The bounds of values are the daemon's to check: here is only what would be lost on the way.
Result<> read_attribute(std::string_view name, const std::string& value, const std::string& subject,
                        Attributes& attributes) {
    for (const auto& entry : kTexts)
        if (entry.name == name) {
            attributes.*entry.member = value;
            return {};
        }
    for (const auto& entry : kNumbers)
        if (entry.name == name) {
            const auto number = parse_number(value);
            if (!number || *number < 0 || *number > INT32_MAX)
                return wrong(subject, name, fmt::format("is \"{}\", and no number", value));
            attributes.*entry.member = number;
            return {};
        }
    for (const auto& entry : kSwitches)
        if (entry.name == name) {
            if (value != "on" && value != "off")
                return wrong(subject, name, fmt::format("is \"{}\", not on or off", value));
            attributes.*entry.member = value == "on";
            return {};
        }
    return wrong(subject, name, "is no attribute that vfbroker knows");
}

Result<> read_function(const xmlNode* node, Domain& domain) {
    const std::string address = attribute(node, "address").value_or("");
    const auto function =
        std::ranges::find_if(domain.functions, [&](const auto& f) { return f.address == address; });
    if (function == domain.functions.end())
        return wrong("a <function>", "the address",
                     fmt::format("is \"{}\", which no <hostdev> of the domain has", address));
    if (function->attributes) return wrong(address, "the <function>", "is there twice");
    Attributes attributes;
    for (const xmlAttr* property = node->properties; property != nullptr;
         property = property->next) {
        const std::string name(view(property->name));
        if (property->ns != nullptr)
            return wrong(address, name, "is in a namespace, where attributes have none");
        if (name == "address") continue;
        VFB_CHECK(read_attribute(name, attribute(node, name).value_or(""), address, attributes));
    }
    function->attributes = std::move(attributes);
    return {};
}

// What is ours must be known to us: a word that is passed over would be an attribute not set.
Result<> read_metadata(const xmlNode* metadata, Domain& domain) {
    for (const xmlNode* ours = metadata->children; ours != nullptr; ours = ours->next) {
        if (ours->type != XML_ELEMENT_NODE || namespace_of(ours) != kNamespace) continue;
        if (view(ours->name) != "lease")
            return wrong("vfbroker", fmt::format("<{}>", view(ours->name)), "is not known");
        for (const xmlNode* node = ours->children; node != nullptr; node = node->next) {
            if (node->type != XML_ELEMENT_NODE) continue;
            if (view(node->name) != "function" || namespace_of(node) != kNamespace)
                return wrong("<lease>", fmt::format("<{}>", view(node->name)), "is not known");
            VFB_CHECK(read_function(node, domain));
        }
    }
    return {};
}

bool is_uuid(std::string_view text) {
    return text.size() == 36 &&
           text.find_first_not_of("0123456789abcdef-") == std::string_view::npos;
}

Result<Document> parse(std::string_view xml) {
    if (xml.empty()) return invalid("there is none on standard input");
    if (xml.size() > kMaxXml) return invalid(fmt::format("it is longer than {} bytes", kMaxXml));
    // Entities stay as they are, nothing is loaded, and libxml2's own limits hold.
    Document document(xmlReadMemory(xml.data(), static_cast<int>(xml.size()), "domain.xml", nullptr,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING));
    if (!document) {
        const xmlError* error = xmlGetLastError();
        const bool known = error != nullptr && error->message != nullptr;
        std::string why = known ? error->message : "it is no XML";
        while (why.ends_with('\n')) why.pop_back();
        return invalid(known ? fmt::format("line {}: {}", error->line, why) : why);
    }
    if (xmlGetIntSubset(document.get()) != nullptr)
        return invalid("it has a document type, which no domain of libvirt's has");
    return document;
}

}  // namespace

Result<Domain> parse_domain(std::string_view xml) {
    VFB_TRY(const Document document, parse(xml));
    const xmlNode* root = xmlDocGetRootElement(document.get());
    if (root == nullptr || view(root->name) != "domain" || root->ns != nullptr)
        return invalid("it is not that of a <domain>");
    Domain domain;
    domain.name = content(child(root, "name"));
    domain.uuid = content(child(root, "uuid"));
    if (domain.name.empty() || !is_uuid(domain.uuid))
        return invalid("the domain has no name or no UUID");
    const auto iommufd = children(root, "iommufd");
    domain.iommufd = !iommufd.empty() && has(iommufd.front(), "enabled", "yes");
    if (const xmlNode* devices = child(root, "devices"); devices != nullptr)
        VFB_CHECK(read_devices(devices, domain));
    if (const xmlNode* metadata = child(root, "metadata"); metadata != nullptr)
        VFB_CHECK(read_metadata(metadata, domain));
    return domain;
}

}  // namespace vfb::libvirt
