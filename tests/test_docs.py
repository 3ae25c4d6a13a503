"""The pages in docs/ and the README: quotes stand in the source, links lead somewhere, formulas survive GitHub."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DERIVATIONS = (ROOT / "docs" / "derivations.md").read_text()

SECTIONS = [  # other parts of the project link to them
    "linear",
    "relu",
    "batch-normalization",
    "softmax-cross-entropy",
    "l2-penalty",
    "dropout",
    "skip-connection",
    "label-smoothing",
    "sgd-update",
    "momentum",
    "adam",
    "learning-rate",
    "initialization",
    "standardization",
    "minibatches",
    "augmentation",
    "gradient-check",
]


def blocks(text, language):
    """The contents of the fenced blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text):
    """What is left without fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text):
    """The anchors that GitHub gives to the headings: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def statements(file, qualified_name):
    """The lines of a function's body, without its docstring and its comments."""
    text, names = (ROOT / file).read_text(), qualified_name.split(".")
    body = ast.parse(text).body
    for name in names:
        (node,) = (node for node in body if getattr(node, "name", None) == name)
        body = node.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    lines = text.splitlines()[body[0].lineno - 1 : node.end_lineno]
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def quotes():
    """(file, function, quoted lines) of every block that says where it stands."""
    for block in blocks(DERIVATIONS, "python"):
        header, *lines = block.splitlines()
        if match := re.fullmatch(r"# (\S+) in (\S+\.py)", header):
            yield match[2], match[1], [line.strip() for line in lines if line.strip()]


def test_the_examples_of_how_to_use_it_run_one_after_the_other(capsys):
    namespace = {}
    section = (ROOT / "README.md").read_text().partition("\n## Use it\n")[2]
    for example in blocks(section, "python"):
        exec(example, namespace)
    agreement, accuracy = capsys.readouterr().out.strip().rsplit("\n", 1)
    assert "agree" in agreement
    assert 0 <= float(accuracy) <= 1


def test_every_python_block_is_a_quote_or_is_run():
    headers = [block.splitlines()[0] for block in blocks(DERIVATIONS, "python")]
    assert all(re.fullmatch(r"# \S+ in \S+\.py|# checked: .+", header) for header in headers)


@pytest.mark.parametrize(("file", "function", "lines"), [pytest.param(*quote, id=quote[1]) for quote in quotes()])
def test_quoted_lines_stand_in_the_source_in_this_order(file, function, lines):
    source = iter(statements(file, function))
    missing = [line for line in lines if line not in source]  # `in` moves the iterator on
    assert not missing


layers_source = (ROOT / "manual_mlp" / "layers.py").read_text()
operations = [node.name for node in ast.parse(layers_source).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("function", operations)
def test_every_line_of_every_operation_is_derived(function):
    quoted = [line for _, name, lines in quotes() if name == function for line in lines]
    assert set(statements("manual_mlp/layers.py", function)) <= set(quoted)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_that_others_link_to_exists(section):
    assert anchors(DERIVATIONS).count(section) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_a_file_and_a_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file.read_text()), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_formulas_in_a_line_survive_markdown(page):
    """Markdown would eat a backslash in front of punctuation, and take a `_` after punctuation for emphasis."""
    text = prose(page.read_text())
    formulas = re.findall(r"\$([^$]+)\$", text)
    assert text.count("$") == 2 * len(formulas)
    for formula in formulas:
        assert not re.search(r"\\[^a-zA-Z]|\*|<\S|[^\w\s]_|\n", formula), formula
        assert formula == formula.strip(), formula
    for line in text.splitlines():
        if line.startswith("|"):  # a bar ends a table's cell, even within a formula
            assert all(cell.count("$") % 2 == 0 for cell in line.split("|")), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_formula_blocks_use_what_github_renders(page):
    for block in blocks(page.read_text(), "math"):
        assert block.count("{") == block.count("}"), block
        assert len(re.findall(r"\\left\b", block)) == len(re.findall(r"\\right\b", block)), block
        assert sorted(re.findall(r"\\begin{(\w+)}", block)) == sorted(re.findall(r"\\end{(\w+)}", block))
        assert set(re.findall(r"\\begin{(\w+)}", block)) <= {"aligned", "cases"}
        assert not re.search(r"\\(operatorname|newcommand|def|label|href|tag)\b", block), block
