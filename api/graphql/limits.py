"""What a document may ask, told before it is validated: one walk, each fragment once, so refusing is never slow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    parse,
)
from graphql.language import IntValueNode, Node


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document. `cost` is in values of the answer; lists without a literal limit count `rows` rows."""

    characters: int = 100_000
    tokens: int = 5_000
    depth: int = 15
    introspection: int = 24  # levels of
    fields: int = 1_500  # with every fragment spread out
    repeated: int = 300  # fields in and under places that select one response key several times: merging them is square
    aliases: int = 60
    roots: int = 20
    directives: int = 50
    fragments: int = 50
    spreads: int = 200
    operations: int = 20
    variables: int = 100
    levels: int = 32  # of a literal
    items: int = 1_000  # of a list in it
    cost: int = 20_000_000
    rows: int = 100


@dataclass(frozen=True, slots=True)
class Weight:
    """What a selection amounts to when every fragment in it is spread out."""

    depth: int = 0
    fields: int = 0
    cost: int = 0


NOTHING = Weight()
# Response key -> how often one place selects it, and the fields in and under it.
Keys = dict[str, tuple[int, int]]


def read(text: str, limits: Limits) -> DocumentNode:
    """The document, if it is within the limits; GraphQLError where it does not parse or asks too much."""
    if len(text) > limits.characters:
        raise GraphQLError(f"the document has {len(text)} characters: {limits.characters} at most")
    try:
        node = parse(text, max_tokens=limits.tokens)
        check(node, limits)
    except RecursionError:
        raise GraphQLError("the document is nested too deeply") from None
    return node


def check(document: DocumentNode, limits: Limits) -> None:
    """GraphQLError, which names the limit, for a document that is beyond one."""
    walk = _Walk(limits, {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)})
    walk.most("fragments", len(walk.fragments), limits.fragments)
    for fragment in walk.fragments.values():
        walk.directives(fragment.directives)
        walk.fragment(fragment.name.value, fragment)
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    walk.most("operations", len(operations), limits.operations)
    for operation in operations:
        walk.operation(operation)


@dataclass(slots=True)
class _Walk:
    limits: Limits
    fragments: dict[str, FragmentDefinitionNode]
    known: dict[str, tuple[Weight, Keys] | None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def most(self, what: str, number: int, limit: int) -> None:
        if number > limit:
            raise GraphQLError(f"the document has too many {what}: {limit} at most")

    def count(self, what: str, limit: int, by: int = 1) -> None:
        self.counts[what] += by
        self.most(what, self.counts[what], limit)

    def operation(self, node: OperationDefinitionNode) -> None:
        self.directives(node.directives)
        self.count("variables", self.limits.variables, len(node.variable_definitions or ()))
        for variable in node.variable_definitions or ():
            self.directives(variable.directives)
            self.value(variable.default_value, 0)
        self.most("root fields", len(node.selection_set.selections), self.limits.roots)
        weight = self.whole(node.selection_set)
        if weight.depth > self.limits.depth:
            raise GraphQLError(f"the query is {weight.depth} levels deep: {self.limits.depth} at most", node)
        self.most("fields once its fragments are spread out", weight.fields, self.limits.fields)
        if weight.cost > self.limits.cost:
            message = f"the query could give {weight.cost} values: {self.limits.cost} at most"
            raise GraphQLError(f"{message}; give its lists a smaller `limit`", node)

    def whole(self, node: SelectionSetNode) -> Weight:
        """The weight of a field's or operation's selection; here it is known what is selected several times."""
        keys: Keys = {}
        weight = self.selection(node, keys)
        self.count("repeated fields", self.limits.repeated, sum(under for times, under in keys.values() if times > 1))
        return weight

    def selection(self, node: SelectionSetNode, keys: Keys) -> Weight:
        total = NOTHING
        for item in node.selections:
            total = _sum(total, self.item(item, keys))
        return total

    def item(self, node: Node, keys: Keys) -> Weight:
        if isinstance(node, FieldNode):
            weight = self.leaf_or_tree(node)
            _add(keys, {(node.alias or node.name).value: (1, weight.fields)})
            return weight
        if isinstance(node, InlineFragmentNode):
            self.directives(node.directives)
            return self.selection(node.selection_set, keys)
        return self.spread(node, keys) if isinstance(node, FragmentSpreadNode) else NOTHING

    def spread(self, node: FragmentSpreadNode, keys: Keys) -> Weight:
        self.directives(node.directives)
        self.count("fragment spreads", self.limits.spreads)
        weight, inner = self.fragment(node.name.value, self.fragments.get(node.name.value))
        _add(keys, inner)
        return weight

    def leaf_or_tree(self, node: FieldNode) -> Weight:
        self.directives(node.directives)
        if node.alias is not None:
            self.count("aliases", self.limits.aliases)
        for argument in node.arguments or ():
            self.value(argument.value, 0)
        if node.selection_set is None:
            return Weight(1, 1, 1)
        inner = self.whole(node.selection_set)
        if node.name.value.startswith("__"):
            # A schema is small, whatever its lists look like; graphql-core has a rule of its own against its circles.
            self.most("levels of introspection", inner.depth, self.limits.introspection)
            return Weight(1, inner.fields + 1, inner.fields + 1)
        return Weight(inner.depth + 1, inner.fields + 1, 1 + self.rows(node) * inner.cost)

    def rows(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value == "limit" and isinstance(argument.value, IntValueNode):
                return min(int(argument.value.value[:12]), 10**9) if argument.value.value[0] != "-" else 0
        return self.limits.rows

    def fragment(self, name: str, node: FragmentDefinitionNode | None) -> tuple[Weight, Keys]:
        """The weight and keys of a fragment, each reckoned once; an unknown one is the validation's business."""
        if node is None:
            return NOTHING, {}
        if name not in self.known:
            self.known[name] = None
            keys: Keys = {}
            self.known[name] = self.selection(node.selection_set, keys), keys
        known = self.known[name]
        if known is None:
            raise GraphQLError(f'fragment "{name}" spreads itself', node)
        return known

    def directives(self, nodes: Iterable[Node] | None) -> None:
        self.count("directives", self.limits.directives, sum(1 for _ in nodes or ()))

    def value(self, node: ValueNode | None, depth: int) -> None:
        if depth > self.limits.levels:
            raise GraphQLError("a value in the document is nested too deeply", node)
        if isinstance(node, ListValueNode):
            self.most("items in one list", len(node.values), self.limits.items)
            for item in node.values:
                self.value(item, depth + 1)
        elif isinstance(node, ObjectValueNode):
            for entry in node.fields:
                self.value(entry.value, depth + 1)


def _sum(a: Weight, b: Weight) -> Weight:
    return Weight(max(a.depth, b.depth), a.fields + b.fields, a.cost + b.cost)


def _add(keys: Keys, more: Keys) -> None:
    for key, (times, under) in more.items():
        before = keys.get(key, (0, 0))
        keys[key] = (before[0] + times, before[1] + under)
