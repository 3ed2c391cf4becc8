namespace Trainer.Data.HuggingFace;

/// <summary>A token that is taken out of the text before anything else.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether it controls the model and is no text.</param>
/// <param name="SingleWord">Whether it may not touch other words.</param>
/// <param name="StripLeft">Whether it takes the white space before it.</param>
/// <param name="StripRight">Whether it takes the white space after it.</param>
/// <param name="Normalized">Whether it is looked for in normalized text, after being normalized itself.</param>
/// <param name="Sought">What is looked for, and what a decoder is given: the content, normalized where that is wanted.</param>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized, string Sought)
{
    /// <summary>Reads one; its id is given by <see cref="AddedVocabulary"/>.</summary>
    public static AddedToken Of(Part part)
    {
        var special = part.Flag("special", false);
        var content = part.Text("content");
        return new AddedToken(-1, content, special, part.Flag("single_word", false),
            part.Flag("lstrip", false), part.Flag("rstrip", false), part.Flag("normalized", !special), content);
    }
}
