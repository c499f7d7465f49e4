// Tells the shells of OpenCode which tool call they are run for. It adds one variable and changes nothing else.
export const Tapes = async () => ({
  "shell.env": async (input, output) => {
    if (input?.callID && output?.env) output.env.TAPES_CALL = input.callID
  },
})
