using System.Text;
using System.Text.Json;

namespace Trainer.Configuration.Layers;

/// <summary>The bytes of a JSON text, and where in it a byte stands.</summary>
internal sealed class JsonText
{
    private static readonly byte[] ByteOrderMark = [0xEF, 0xBB, 0xBF];
    private readonly byte[] bytes;
    private readonly List<int> lineStarts = [0];

    public JsonText(byte[] content)
    {
        bytes = content.AsSpan().StartsWith(ByteOrderMark) ? content[ByteOrderMark.Length..] : content;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == (byte)'\n')
                lineStarts.Add(i + 1);
        }
    }

    public bool IsBlank => bytes.AsSpan().IndexOfAnyExcept(" \t\r\n"u8) < 0;

    public Utf8JsonReader Reader() => new(bytes, new JsonReaderOptions
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    });

    /// <summary>The number of the line a byte stands on, counted from 1.</summary>
    public int Line(long offset)
    {
        var found = lineStarts.BinarySearch((int)offset);
        return found >= 0 ? found + 1 : ~found;
    }

    /// <summary>Line and column of a syntax error and what is wrong, as <c>3:5: …</c>; columns count characters from 1.</summary>
    public string Describe(JsonException error)
    {
        var line = (int)(error.LineNumber ?? 0);
        var start = lineStarts[Math.Min(line, lineStarts.Count - 1)];
        var length = Math.Clamp((int)(error.BytePositionInLine ?? 0), 0, bytes.Length - start);
        var column = Encoding.UTF8.GetCharCount(bytes, start, length) + 1;
        return $"{line + 1}:{column}: {WithoutPosition(error.Message)}";
    }

    private static string WithoutPosition(string message)
    {
        var end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (end < 0 ? message : message[..end]).TrimEnd('.');
    }
}
