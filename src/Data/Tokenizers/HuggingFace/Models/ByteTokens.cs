using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>The tokens &lt;0x00&gt; to &lt;0xFF&gt; that stand for single bytes where a vocabulary lacks a character.</summary>
internal sealed class ByteTokens
{
    private readonly int[] ids;

    public ByteTokens(Func<string, int> find) => ids = [.. Enumerable.Range(0, 256).Select(value => find($"<0x{value:X2}>"))];

    /// <summary>Appends the tokens of a text's bytes, if all are in the vocabulary.</summary>
    public bool TryAppend(ReadOnlySpan<char> text, IdBuffer output)
    {
        var bytes = Encoding.UTF8.GetBytes(text.ToString());
        if (Array.Exists(bytes, value => ids[value] < 0))
            return false;
        foreach (var value in bytes)
            output.Add(ids[value]);
        return true;
    }
}
