namespace Trainer.Models;

/// <summary>What a parameter does in a model.</summary>
public enum ParameterRole
{
    /// <summary>A table read by token or position; the head, too, where it is tied to one.</summary>
    Embedding,

    /// <summary>A matrix inside a block.</summary>
    Matrix,

    /// <summary>The matrices between the last block and the logits.</summary>
    Head,

    /// <summary>A norm's scale, a bias, and whatever else has less than two dimensions.</summary>
    Vector,
}

/// <summary>The roles of a model's parameters, and the matrices of its blocks, by the names of <c>named_parameters</c>.</summary>
/// <param name="Roles">An entry for each parameter.</param>
/// <param name="Matrices">The matrices of all blocks, without embeddings and head.</param>
public sealed record ParameterLayout(IReadOnlyDictionary<string, ParameterRole> Roles, IReadOnlyList<HiddenMatrix> Matrices)
{
    internal static ParameterLayout Of(SequenceModel model)
    {
        string[] blocks = [.. Paths<Block>(model)], heads = [.. Paths<LanguageHead>(model)], tables = [.. Paths<IEmbeds>(model)];
        return new(
            model.named_parameters().ToDictionary(entry => entry.name, entry =>
                entry.parameter.dim() < 2 || IsMagnitude(entry.name) ? ParameterRole.Vector
                : IsBelow(tables, entry.name) ? ParameterRole.Embedding
                : IsBelow(heads, entry.name) ? ParameterRole.Head
                : IsBelow(blocks, entry.name) ? ParameterRole.Matrix
                : ParameterRole.Embedding),
            [.. HiddenMatrices.Of(model).Where(matrix => !IsBelow(tables, matrix.Name) && !IsMagnitude(matrix.Name))]);
    }

    // DoRA's lengths of rows: those of experts stand in one tensor, (E, M), and are no matrix all the same.
    private static bool IsMagnitude(string name) => name.EndsWith(".magnitude", StringComparison.Ordinal);

    private static IEnumerable<string> Paths<T>(SequenceModel model) =>
        model.named_modules().Where(entry => entry.module is T).Select(entry => entry.name);

    private static bool IsBelow(string[] paths, string name) =>
        paths.Any(path => name.StartsWith(path, StringComparison.Ordinal) && name[path.Length] == '.');
}

/// <summary>A module whose matrices are tables, read by row, wherever it is in the model.</summary>
internal interface IEmbeds;
