namespace Trainer.Data;

/// <summary>Rows that an encoder reads.</summary>
/// <param name="Tokens">Token ids (rows × <paramref name="Columns"/>), row by row; 0 behind a row's end.</param>
/// <param name="Lengths">How many places of each row are filled; the others must not be seen.</param>
/// <param name="Columns">The length of the longest row.</param>
public sealed record SourceRows(long[] Tokens, int[] Lengths, int Columns)
{
    /// <summary>Puts texts side by side.</summary>
    /// <param name="texts">Token ids of each, at least one text.</param>
    /// <returns>As many rows, as wide as the longest.</returns>
    public static SourceRows Pad(IReadOnlyList<int[]> texts)
    {
        var columns = texts.Max(text => text.Length);
        var tokens = new long[texts.Count * columns];
        for (var row = 0; row < texts.Count; row++)
            for (var column = 0; column < texts[row].Length; column++) tokens[row * columns + column] = texts[row][column];
        return new SourceRows(tokens, [.. texts.Select(text => text.Length)], columns);
    }

    internal SourceRows Part(int first, int end) => new(Tokens[(first * Columns)..(end * Columns)], Lengths[first..end], Columns);
}
