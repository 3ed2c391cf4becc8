using System.Xml.Linq;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tests.Corpora;

public sealed class DocumentationIdTests
{
    [Theory]
    [InlineData("T:System.String", "String")]
    [InlineData("M:System.String.Trim(System.Char)", "String.Trim")]
    [InlineData("P:System.Collections.Generic.List`1.Count", "List<T>.Count")]
    [InlineData("T:System.Collections.Generic.Dictionary`2", "Dictionary<T1, T2>")]
    [InlineData("M:System.Text.StringBuilder.#ctor(System.Int32)", "StringBuilder")]
    [InlineData("F:System.Int32.MaxValue", "Int32.MaxValue")]
    [InlineData("N:System.Text", "System.Text")]
    [InlineData("!:Unresolved.Name", "Name")]
    [InlineData("", "")]
    public void Running_text_names_members_as_documentation_does(string id, string name) =>
        Assert.Equal(name, DocumentationId.Parse(id).ShortName);

    [Theory]
    [InlineData("T:System.String", "System.String")]
    [InlineData("T:System.Collections.Generic.List`1", "System.Collections.Generic.List<TItem>")]
    [InlineData("T:System.Collections.Generic.List`1.Enumerator", "System.Collections.Generic.List.Enumerator")]
    [InlineData("M:System.Object.ToString", "Object.ToString()")]
    [InlineData("P:System.Exception.Message", "Exception.Message")]
    [InlineData("M:System.Text.StringBuilder.#ctor(System.Int32)", "new StringBuilder(Int32 a)")]
    [InlineData("M:A.List`1.TryGet(`0,System.Int32@,System.Int32[0:,0:])", "List<TItem>.TryGet(TItem a, ref Int32 b, Int32[,])")]
    [InlineData("M:A.Enumerable.Zip``1(System.Collections.Generic.IEnumerable{System.Func{``0,``1}},System.Char*)",
        "Enumerable.Zip<TResult>(IEnumerable<Func<TResult, T2>> a, Char* b)")]
    [InlineData("M:System.Decimal.op_Explicit(System.Double)~System.Decimal", "Decimal.operator Explicit(Double a)")]
    [InlineData("M:A.Set.System#Collections#ICollection#CopyTo(System.Array)", "Set.CopyTo(Array a)")]
    [InlineData("M:A.Unknown.Query(System.Guid@|System.Runtime.InteropServices.InAttribute)", "Unknown.Query(ref Guid a)")]
    public void Headings_are_signatures(string id, string heading) =>
        Assert.Equal(heading, DocumentationId.Parse(id).Heading(["a", "b"], ["TItem"], id.Contains("``") ? ["TResult"] : []));
}

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
        Assert.Equal(paragraphs,
            string.Join('|', DocumentationText.Paragraphs(XElement.Parse($"<summary>{markup}</summary>", LoadOptions.PreserveWhitespace))));
}

public sealed class ProseTests
{
    [Theory]
    [InlineData("Gets the count. The default is 0.", "Gets the count.|The default is 0.")]
    [InlineData("Use one, e.g. Trim (see above). Is it so? Yes (it certainly is.) No.",
        "Use one, e.g. Trim (see above).|Is it so?|Yes (it certainly is.)")]
    [InlineData("uint8x8_t vadd_u8 (uint8x8_t a, uint8x8_t b)", "")]
    [InlineData("__m128i _mm_abs_epi8 (__m128i a)", "")]
    [InlineData("INSR Ztied1.B, Bop2.", "")]
    [InlineData("Required. The value は unknown. if (x) { return; }", "")]
    [InlineData("An unfinished thought", "")]
    public void Only_sentences_of_english_are_taken(string paragraph, string sentences) =>
        Assert.Equal(sentences, string.Join('|', Prose.Sentences(paragraph)));

    [Fact]
    public void Sentences_are_the_same_whatever_their_capitals_and_punctuation() =>
        Assert.Equal(Prose.Key("The value, in bytes."), Prose.Key("the value (in bytes)!"));
}
