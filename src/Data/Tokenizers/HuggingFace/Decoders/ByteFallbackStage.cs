using System.Globalization;
using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>ByteFallback: runs of tokens such as &lt;0x0A&gt; are UTF-8; a run that is not becomes U+FFFD for each byte.</summary>
/// <remarks>Whether a run is valid is known at its end only, so that it is held back until then.</remarks>
internal sealed class ByteFallbackStage : DecoderStage
{
    private static readonly UTF8Encoding Strict = new(false, throwOnInvalidBytes: true);

    private readonly List<byte> run = [];

    public override void Push(string text, bool begins)
    {
        if (Byte(text) is { } value)
        {
            run.Add(value);
            return;
        }
        EndRun();
        Next.Push(text, begins);
    }

    public override void Flush()
    {
        EndRun();
        base.Flush();
    }

    /// <summary>The byte that a token such as &lt;0x0A&gt; stands for.</summary>
    public static byte? Byte(string token)
    {
        if (token is not ['<', '0', 'x', var high, var low, '>'])
            return null;
        if (high == '+' && char.IsAsciiHexDigit(low))   // Rust parses a sign too
            high = '0';
        return byte.TryParse([high, low], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    private void EndRun()
    {
        if (run.Count == 0)
            return;
        var bytes = run.ToArray();
        run.Clear();
        try
        {
            Next.Push(Strict.GetString(bytes), begins: true);
        }
        catch (DecoderFallbackException)
        {
            foreach (var _ in bytes)
                Next.Push("\uFFFD", begins: true);
        }
    }
}
