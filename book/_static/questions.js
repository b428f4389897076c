// Questions: choose an answer, check it, read why. Without this script the explanations are folded under their answers.
addEventListener("DOMContentLoaded", () => document.querySelectorAll("fieldset.rv-question").forEach((question) => {
  const answers = [...question.querySelectorAll(".rv-answer")].map((answer) => {
    const folded = answer.querySelector("details"), why = folded.querySelector("div"), said = document.createElement("div");
    said.setAttribute("aria-live", "polite");
    why.hidden = true;
    folded.replaceWith(said);
    said.append(why);
    return { radio: answer.querySelector("input"), why };
  });
  const button = document.createElement("button"), hint = document.createElement("span"), foot = document.createElement("div");
  Object.assign(button, { type: "button", className: "rv-button", textContent: "Check" });
  hint.setAttribute("role", "status");
  foot.className = "rv-check";
  foot.append(button, hint);
  question.append(foot);

  const check = () => {
    const chosen = answers.find(({ radio }) => radio.checked);
    hint.textContent = chosen ? "" : "Choose an answer first.";
    if (chosen) chosen.why.hidden = false;
  };
  button.addEventListener("click", check);
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.type === "radio") check();
  });
}));
