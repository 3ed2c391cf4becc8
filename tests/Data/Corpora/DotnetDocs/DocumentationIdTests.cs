namespace Trainer.Data.Tests;

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
    [InlineData("M:A.Enumerable.Zip``1(System.Collections.Generic.IEnumerable{System.Func{``0,``1}},System.Char*)", "Enumerable.Zip<TResult>(IEnumerable<Func<TResult, T2>> a, Char* b)")]
    [InlineData("M:System.Decimal.op_Explicit(System.Double)~System.Decimal", "Decimal.operator Explicit(Double a)")]
    [InlineData("M:A.Set.System#Collections#ICollection#CopyTo(System.Array)", "Set.CopyTo(Array a)")]
    [InlineData("M:A.Unknown.Query(System.Guid@|System.Runtime.InteropServices.InAttribute)", "Unknown.Query(ref Guid a)")]
    public void Headings_are_signatures(string id, string heading) =>
        Assert.Equal(heading, DocumentationId.Parse(id).Heading(["a", "b"], ["TItem"], id.Contains("``") ? ["TResult"] : []));
}
