using System.Buffers;
using System.Buffers.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Tokenizers;

/// <summary>Encodes and decodes JSON lines as they arrive. Answers are flushed before waiting for more input, so a program can converse
/// through two pipes. Errors have the line's number; earlier lines are answered.</summary>
public static class TokenizerLines
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private const int ShownLength = 60;

    private delegate void Answer(ref Utf8JsonReader json, ArrayBufferWriter<byte> output);

    /// <summary>Encodes a JSON string per line to an array of token ids, without special tokens; throws where it is none.</summary>
    public static void Encode(Tokenizer tokenizer, Stream input, Stream output)
    {
        var ids = new ArrayBufferWriter<int>(1024);
        Each(input, output, "a JSON string such as \"some text\"", (ref Utf8JsonReader json, ArrayBufferWriter<byte> answer) =>
        {
            var text = ReadText(ref json);
            ids.ResetWrittenCount();
            tokenizer.Encode(text, ids);
            Write(ids.WrittenSpan, answer);
        });
    }

    /// <summary>Decodes an array of token ids per line to a JSON string; throws where a line is no such array.</summary>
    public static void Decode(Tokenizer tokenizer, Stream input, Stream output)
    {
        var ids = new ArrayBufferWriter<int>(1024);
        Each(input, output, "a JSON array of token ids such as [1, 2, 3]", (ref Utf8JsonReader json, ArrayBufferWriter<byte> answer) =>
        {
            ids.ResetWrittenCount();
            Read(ref json, tokenizer.VocabularySize, ids);
            using var writer = new Utf8JsonWriter(answer, Readable);
            writer.WriteStringValue(tokenizer.Decode(ids.WrittenSpan));
        });
    }

    private static void Each(Stream input, Stream output, string expected, Answer answer)
    {
        var answers = new ArrayBufferWriter<byte>(1 << 16);
        var lines = new LineBuffer(new FlushingStream(input, Flush), "standard input");
        try
        {
            while (lines.Next())
            {
                AnswerLine(lines.Line.Span.TrimEnd((byte)'\r'), lines.Number, expected, answer, answers);
                answers.Write("\n"u8);
                if (answers.WrittenCount > 1 << 16)
                    Flush();
            }
        }
        finally
        {
            Flush();
        }

        void Flush()
        {
            if (answers.WrittenCount == 0)
                return;
            output.Write(answers.WrittenSpan);
            output.Flush();
            answers.ResetWrittenCount();
        }
    }

    private static void AnswerLine(ReadOnlySpan<byte> line, long number, string expected, Answer answer, ArrayBufferWriter<byte> answers)
    {
        try
        {
            var json = new Utf8JsonReader(line);
            json.Read();
            answer(ref json, answers);
        }
        catch (EncodingException e)
        {
            throw new UserException($"line {number}: {e.Message}", e);
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            throw new UserException($"line {number} is {Show(line)}, not {expected}", e);
        }
    }

    private static string ReadText(ref Utf8JsonReader json)
    {
        if (json.TokenType != JsonTokenType.String)
            throw new FormatException();
        try
        {
            var text = json.GetString()!;
            Finish(ref json);
            return text;
        }
        catch (InvalidOperationException e)
        {
            throw new FormatException("bytes that are not UTF-8, or an escaped half of a surrogate pair", e);
        }
    }

    private static void Read(ref Utf8JsonReader json, int vocabularySize, ArrayBufferWriter<int> ids)
    {
        if (json.TokenType != JsonTokenType.StartArray)
            throw new FormatException();
        while (json.Read() && json.TokenType != JsonTokenType.EndArray)
        {
            if (json.TokenType != JsonTokenType.Number || !json.TryGetInt32(out var id))
                throw new FormatException();
            if ((uint)id >= (uint)vocabularySize)
                throw new EncodingException($"{id} is no token id of this tokenizer; its ids are 0 to {vocabularySize - 1}",
                    ids.WrittenCount, "index");
            ids.Write([id]);
        }
        Finish(ref json);
    }

    private static void Finish(ref Utf8JsonReader json)
    {
        if (json.Read())
            throw new FormatException();
    }

    private static void Write(ReadOnlySpan<int> ids, ArrayBufferWriter<byte> output)
    {
        const int longestId = 11;
        output.Write("["u8);
        for (var i = 0; i < ids.Length; i++)
        {
            if (i > 0)
                output.Write(","u8);
            Utf8Formatter.TryFormat(ids[i], output.GetSpan(longestId), out var written);
            output.Advance(written);
        }
        output.Write("]"u8);
    }

    private static string Show(ReadOnlySpan<byte> line)
    {
        var text = System.Text.Encoding.UTF8.GetString(line.Length > 4 * ShownLength ? line[..(4 * ShownLength)] : line);
        return text.Length == 0 ? "empty" : text.Length > ShownLength ? text[..ShownLength] + "…" : text;
    }
}

/// <summary>Input that calls back before every read, which may block, so that answers can be flushed first; left open.</summary>
internal sealed class FlushingStream(Stream input, Action answer) : ReadOnlyStream
{
    public override int Read(Span<byte> buffer)
    {
        answer();
        return input.Read(buffer);
    }
}
