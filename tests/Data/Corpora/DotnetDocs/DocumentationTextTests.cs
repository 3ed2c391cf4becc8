using System.Xml.Linq;

namespace Trainer.Data.Tests;

public sealed class DocumentationTextTests
{
    [Theory]
    [InlineData("Trims\n   <paramref name=\"value\" /> in a <see cref=\"T:System.String\" />.", "Trims value in a String.")]
    [InlineData("<see langword=\"true\" /> or the <see cref=\"P:A.B.C\">last one</see>, <c>x</c>.", "true or the last one, x.")]
    [InlineData("One.<para>Two <typeparamref name=\"T\" />.</para>Three.", "One.|Two T.|Three.")]
    [InlineData("index is negative.\n\n -or-\n\n index is large.", "index is negative.|index is large.")]
    [InlineData("Call it:<code>var x = 1;</code>Then go.", "Call it:|Then go.")]
    [InlineData("<list><item><term>A</term><description>first</description></item><item>B</item></list>", "A: first|B")]
    [InlineData("It\u2019s \u201Cso\u201D\u00A0\u2013 well\u2026", "It's \"so\" - well...")]
    [InlineData("  ", "")]
    public void Markup_becomes_paragraphs(string markup, string paragraphs) =>
        Assert.Equal(paragraphs, string.Join('|', DocumentationText.Paragraphs(XElement.Parse($"<summary>{markup}</summary>", LoadOptions.PreserveWhitespace))));
}
