namespace Trainer.Data;

/// <summary>Input that lets what was read be answered before it is asked for more, which may mean waiting.</summary>
/// <param name="input">The input; it stays open.</param>
/// <param name="answer">Called before every read.</param>
internal sealed class AnsweringStream(Stream input, Action answer) : ReadOnlyStream
{
    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        answer();
        return input.Read(buffer);
    }
}
