"""@freshness(maxAge: "5s"): how old a field's data, or that of all fields of an operation, may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphql import (
    DirectiveLocation,
    DirectiveNode,
    FieldNode,
    GraphQLArgument,
    GraphQLDirective,
    GraphQLError,
    GraphQLNonNull,
    GraphQLString,
    OperationDefinitionNode,
    StringValueNode,
    get_directive_values,
)
from graphql.execution.values import VariableValues
from graphql.validation import ValidationRule

from connectors.errors import QueryError
from views.max_age import REMEDY, MaxAge

DIRECTIVE = GraphQLDirective(
    "freshness",
    [DirectiveLocation.QUERY, DirectiveLocation.FIELD],
    {"maxAge": GraphQLArgument(GraphQLNonNull(GraphQLString), description=REMEDY)},
    description="How old data may be when it is asked for: of this root field, or of all that say nothing themselves. "
    "Where no data is young enough, the field is null and an error says how old the best is.",
)


class FreshnessRule(ValidationRule):
    """The directive stands on the operation or on root fields, and says what can be read."""

    def enter_directive(
        self, node: DirectiveNode, _key: Any, _parent: Any, _path: Any, ancestors: Sequence[Any], *_: Any
    ) -> None:
        """Report what is wrong with one."""
        if node.name.value != DIRECTIVE.name:
            return
        nodes = [each for each in ancestors if not isinstance(each, Sequence)]
        if (
            nodes
            and isinstance(nodes[-1], FieldNode)
            and self.context.get_parent_type() != self.context.schema.query_type
        ):
            self.report_error(GraphQLError("@freshness stands on the operation or on root fields only.", node))
        for argument in node.arguments or ():
            if isinstance(argument.value, StringValueNode):
                try:
                    MaxAge.parse(argument.value.value)
                except QueryError as error:
                    told = {"code": error.sqlstate, "hint": error.hint}
                    self.report_error(GraphQLError(error.message, argument.value, extensions=told))


def demanded(operation: OperationDefinitionNode, fields: Sequence[FieldNode], values: VariableValues) -> MaxAge | None:
    """What a field says of its data's age, else its operation; None where neither does. QueryError 22023."""
    nodes: list[FieldNode | OperationDefinitionNode] = [*fields, operation]
    for node in nodes:
        said = get_directive_values(DIRECTIVE, node, values) if node.directives else None
        if said is not None:
            return MaxAge.parse(said["maxAge"])
    return None
